"""What contradicts the model or cannot be measured is refused by name, before any work."""

import keras
import numpy as np
import pytest

from keras_se import tflite
from keras_se.applications import SEResNetCIFAR
from keras_se.tflite import Bounds, Lowering, Recipe, compare, convert, inspect, job, vela
from keras_se.tflite.inputs.normalisation import normalisation
from keras_se.tflite.inputs.preprocess import add_preprocess

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(50, 200, (8, 8, 8, 3), "uint8")
PREPROCESS = SEResNetCIFAR(8, weights=None, classes=3).preprocess


def network(*first):
    keras.utils.set_random_seed(0)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    return keras.Sequential([keras.Input((8, 8, 3)), *first, layers.Conv2D(4, 3), *head])


def normalised():
    """A model that takes raw pixels, as `strip` and `prune` give."""
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, network()(add_preprocess(inputs, PREPROCESS)))


@pytest.fixture
def nothing_is_converted(monkeypatch):
    def refuse(*args):
        raise AssertionError("the conversion has begun")

    monkeypatch.setattr(job, "convert_file", refuse)
    monkeypatch.setitem(convert.__globals__, "lower", refuse)
    monkeypatch.setitem(convert.__globals__, "deployed", refuse)


@pytest.fixture(scope="module")
def aware():
    return tflite.quantize_aware(network(), PREPROCESS, calibration=PIXELS)


@pytest.mark.parametrize("recipe", ["static_int8", "auto", "static_int16x8"])
def test_labels_ask_for_an_input_that_apps_feed(recipe, nothing_is_converted):
    io = "int16" if recipe == "static_int16x8" else "int8"
    with pytest.raises(ValueError, match=f'io="uint8" or io="float32".*Received: {io}'):
        convert(network(), recipe, PIXELS, io=io, preprocess=PREPROCESS, labels=list("abc"))


def test_a_quantized_model_keeps_its_form(aware, nothing_is_converted):
    with pytest.raises(ValueError, match=r"`strip` gives the plain model.*lowering=Lowering"):
        convert(aware, calibration=PIXELS, lowering=Lowering(pool="average_pool"))


def test_a_quantized_model_is_compared_with_its_own_preprocessing(aware):
    content = convert(aware, calibration=PIXELS).model
    with pytest.raises(ValueError, match="inside"):
        compare(aware, content, PIXELS, preprocess=PREPROCESS)
    with pytest.raises(ValueError, match=r"raw pixels in \[0, 255\]"):
        compare(aware, content, PREPROCESS(PIXELS))
    assert compare(aware, content, PIXELS, runs=1).snr_db > 30


def test_a_model_that_takes_raw_pixels_says_so():
    model = normalised()
    result = convert(model, "static_int8", PIXELS, preprocess="included", labels=list("abc"))
    tensor = result.report.inspection.inputs[0]
    assert (tensor.scale, tensor.zero_point, result.report.preprocess) == (1.0, 0, True)
    assert compare(model, result, PIXELS, preprocess="included", runs=1).snr_db > 25
    for measure in (compare, tflite.report):
        with pytest.raises(ValueError, match=r"raw pixels in \[0, 255\]"):
            measure(model, result, PREPROCESS(PIXELS), preprocess="included")


def test_a_result_is_measured_on_images_of_its_own_kind():
    model = network()
    inside, outside = (convert(model, "float32", preprocess=p) for p in (PREPROCESS, None))
    for measure in (compare, tflite.report):
        with pytest.raises(ValueError, match="in the file: pass preprocess"):
            measure(model, inside, PIXELS)
        with pytest.raises(ValueError, match="not in the file: leave out preprocess"):
            measure(model, outside, PIXELS, preprocess=PREPROCESS)
    assert compare(model, inside, PIXELS, preprocess=PREPROCESS, runs=1).snr_db > 60


def test_a_model_that_normalises_pixels_is_quantized_for_them(aware):
    again = tflite.quantize_aware(tflite.strip(aware), "included", calibration=PIXELS)
    (tensor,) = convert(again, calibration=PIXELS).report.inspection.inputs
    assert (tensor.scale, tensor.zero_point) == (1.0, 0)
    with pytest.raises(ValueError, match='pass preprocess="included"'):
        tflite.quantize_aware(tflite.strip(aware), PREPROCESS)
    assert compare(again, convert(again), PIXELS, preprocess="included", runs=1).snr_db > 30


def test_recipes_of_a_report_are_several():
    with pytest.raises(TypeError, match=r"sequence of names\. Received: recipes='float32'"):
        tflite.report(network(), convert(network(), "float32"), PIXELS, recipes="float32")


def test_the_normalisation_is_not_added_twice(aware):
    assert normalisation(network(), None) == (None, False)
    assert normalisation(network(), PREPROCESS) == (PREPROCESS, True)
    assert normalisation(aware, None) == normalisation(normalised(), "included") == (None, True)
    with pytest.raises(ValueError, match='pass preprocess="included"'):
        normalisation(tflite.strip(aware), PREPROCESS)
    with pytest.raises(ValueError, match=r"\"included\" or None\. Received: 'inside'"):
        normalisation(network(), "inside")


@pytest.mark.parametrize(
    "bounds",
    [
        {"min_agreement": 95},
        {"min_agreement": -0.1},
        {"max_accuracy_drop": 1},
        {"max_accuracy_drop": -0.01},
        {"min_snr_db": float("nan")},
    ],
)
def test_bounds_that_no_file_or_every_file_keeps(bounds, nothing_is_converted):
    ((name, value),) = bounds.items()
    for make in (Bounds, lambda **bounds: convert(network(), "float32", PIXELS, **bounds)):
        with pytest.raises(ValueError, match=f"Received: {name}={value}"):
            make(**bounds)


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        (("int4", "float32"), r"\['float32', 'float16', 'int8'\]. Received: weights='int4'"),
        (("int8", "bfloat16"), r"'int8', 'int16'\]. Received: activations='bfloat16'"),
        (("float16", "int8"), r"float16 weights; expected one of \['float32'\]"),
    ],
)
def test_recipes_of_unknown_dtypes(dtypes, message):
    with pytest.raises(ValueError, match=message):
        Recipe("mine", *dtypes, "")


@pytest.mark.parametrize("activations", ["float32", "int16"])
def test_gates_in_float_are_for_int8(activations):
    with pytest.raises(ValueError, match=f"float_gates=True, activations='{activations}'"):
        Recipe("mine", "int8", activations, "", float_gates=True)


def test_a_lowering_is_a_lowering(nothing_is_converted):
    with pytest.raises(TypeError, match="Received: lowering='dense'"):
        convert(network(), "float32", lowering="dense")


def test_a_result_is_taken_for_its_file_and_other_things_are_not():
    result = convert(network(), "float32")
    for ask in (inspect, tflite.to_c_array, tflite.compressed_size_bytes):
        assert ask(result) == ask(result.model)
    with pytest.raises(ValueError, match=r"runs must be at least 1\. Received: runs=0"):
        compare(network(), result, PIXELS, runs=0)
    for ask in (inspect, vela, lambda file: compare(network(), file, PIXELS)):
        with pytest.raises(
            TypeError, match=r"Result, as bytes or as a path\. Received: Sequential"
        ):
            ask(network())
