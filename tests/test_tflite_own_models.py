"""Models as Keras' guides write them: augmentation, normalisation and operators inside."""

import re

import keras
import numpy as np
import pytest

from keras_se.cli._models import load_model
from keras_se.layers import SqueezeExcite
from keras_se.tflite import Runner, convert, lower, quantize_aware
from keras_se.tflite.accuracy.scores import snr_db
from keras_se.tflite.inputs.normalisation import normalises
from keras_se.tflite.lowering.identities import IDENTITIES

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype("uint8")
ARGUMENTS = {  # where `kind(0.1)` is no call
    layers.ActivityRegularization: {},
    layers.CutMix: {},
    layers.Equalization: {},
    layers.Identity: {},
    layers.MixUp: {},
    layers.RandAugment: {},
    layers.AugMix: {},
    layers.RandomColorJitter: {"brightness_factor": 0.1, "hue_factor": 0.1},
    layers.RandomErasing: {"factor": 1.0},
    layers.RandomFlip: {},
    layers.RandomPosterization: {"factor": 4},
    layers.RandomShear: {"x_factor": 0.1, "y_factor": 0.1},
    layers.RandomTranslation: {"height_factor": 0.1, "width_factor": 0.1},
    layers.Solarization: {},
}
SHAPES = {layers.SpatialDropout1D: (256, 3), layers.SpatialDropout3D: (4, 4, 16, 3)}


def small_model(*first, head=3, size=(16, 16, 3)):
    """A classifier of raw pixels that begins with the given layers."""
    return keras.Sequential(
        [
            keras.Input(size),
            *first,
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(head),
        ]
    )


def file_snr_db(model, content, pixels=PIXELS) -> float:
    """Of a file's outputs, over those of the model that it was made from."""
    run = Runner(content)
    outputs = np.concatenate([run(image)[0] for image in pixels])
    return snr_db(keras.ops.convert_to_numpy(model(pixels, training=False)), outputs)


@pytest.mark.parametrize("kind", IDENTITIES)
def test_what_is_an_identity_at_inference_vanishes(kind):
    arguments = ARGUMENTS.get(kind)
    layer = kind(0.1) if arguments is None else kind(**arguments)
    shape = SHAPES.get(kind, PIXELS.shape[1:])
    # Keras 3.15 makes a cycle of a graph in which Equalization follows another layer.
    parts = [layers.Reshape(shape), layer, layers.Reshape(PIXELS.shape[1:])]
    model = small_model(*(parts if kind in SHAPES else [layer]))
    pixels = PIXELS.reshape(-1, *shape)
    outputs = keras.ops.convert_to_numpy(layer(pixels.astype("float32"), training=False))
    np.testing.assert_array_equal(outputs, pixels)
    assert not any(isinstance(each, kind) for each in lower(model).layers)


def test_every_layer_of_keras_for_training_alone_is_known():
    words = "Rand|Dropout|Noise|Regularization|Mix|Equalization|Solarization|Identity"
    found = {getattr(layers, name) for name in dir(layers) if re.search(words, name)}
    # RandomCrop resizes at inference, and CLAHE equalizes there too.
    others = {"RandomCrop", "ContrastLimitedAdaptiveHistogramEqualization"}
    assert {kind.__name__ for kind in found - set(IDENTITIES)} <= others


def test_a_pipeline_of_layers_is_lowered_one_by_one():
    model = small_model(layers.Pipeline([layers.RandomHue(0.1), layers.Rescaling(2.0)]))
    lowered = lower(model)
    assert [type(layer).__name__ for layer in lowered.layers][1:3] == ["Rescaling"] * 2
    assert file_snr_db(model, convert(model, "float32").model) > 100


@pytest.mark.parametrize("recipe", ["static_int8", "static_int16x8"])
def test_values_that_overflow_are_an_error_and_do_not_end_the_process(recipe):
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Activation("exponential")])
    assert file_snr_db(model, convert(model, "float32").model, PIXELS // 4) > 100
    with pytest.raises(RuntimeError, match=r"needs finite ranges, and 1 tensor .*overflowed"):
        convert(model, recipe, PIXELS)


def test_an_operator_that_tensorflow_lite_lacks_is_named():
    model = small_model(layers.Resizing(8, 8, interpolation="bicubic"))
    with pytest.raises(RuntimeError) as error:
        convert(model, "float32")
    assert "no operator for ['ResizeBicubic']" in str(error.value)
    assert len(str(error.value)) < 300


class TwoHalves(layers.Layer):
    """0.5 max(x, 0) + 2 min(x, 0), each of which has the scale of its terms."""

    def call(self, x):
        return 0.5 * keras.ops.maximum(x, 0.0) + 2.0 * keras.ops.minimum(x, 0.0)


def test_a_maximum_does_not_clip_what_others_read():
    first = [keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)]
    model = keras.Sequential([*first, TwoHalves(), layers.Flatten(), layers.Dense(3)])
    convert(model, "static_int8", PIXELS, preprocess="included", min_snr_db=30)


@pytest.mark.parametrize(
    "part",
    [lambda x: keras.ops.split(x, 4, axis=-1)[1], lambda x: keras.ops.unstack(x, axis=1)[2]],
)
def test_parts_that_nobody_reads_leave_no_floats(part):
    """Of a split in four, TensorFlow's quantizer left the parts in float 11 times of 12."""
    inputs = keras.Input((16, 16, 3))
    x = part(layers.Conv2D(8, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    for io in ("uint8", "int8", "float32"):
        report = convert(model, "static_int8", PIXELS, io=io, min_snr_db=30).report
        made = [name for name in report.inspection.sequence if "QUANTIZE" not in name]
        assert (made[0], *made[-2:]) == ("CONV_2D", "RESHAPE", "FULLY_CONNECTED")
        assert len(report.inspection.sequence) - len(made) == (0 if io == "int8" else 2)


class Stack(TwoHalves):
    """Of the name that an operation of Keras has."""


NORMALISED = {  # as the guides of Keras and TensorFlow do
    "operators": lambda x: x / 127.5 - 1,
    "mobilenet_v2": keras.applications.mobilenet_v2.preprocess_input,
    "resnet50": keras.applications.resnet50.preprocess_input,
    "densenet": keras.applications.densenet.preprocess_input,
    "reversed": lambda x: x[..., ::-1] - 100.0,
    "average": lambda x: layers.Average()([x / 127.5, x / 255.0]),
    "layer": layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[4000.0, 4500.0, 5000.0]),
}


@pytest.mark.parametrize("form", NORMALISED)
def test_operators_that_normalise_are_quantized_too(form):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu")(NORMALISED[form](inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    aware = quantize_aware(model, "included", PIXELS)
    content = convert(aware, calibration=PIXELS, min_snr_db=60).model
    assert file_snr_db(model, content) > 30


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.ELU(), r"'elu\w*' \(ELU\)"),
        (layers.Lambda(lambda x: x), r"'lambda\w*' \(Lambda\)"),
        (lambda x: 1.0 / (x + 2.0), "TrueDivide with a constant"),
        (lambda x: x / (x + 2.0), "TrueDivide of two tensors"),
        (layers.Normalization(1, np.zeros(16), np.ones(16)), "each of the 3 channels"),
        (layers.BatchNormalization(1), r"'batch_norm\w*' normalises along axis 1"),
        (lambda x: x[:, 1:], "GetItem"),
        (Stack(), r"'stack\w*' \(Stack\)"),
    ],
)
def test_what_cannot_be_quantized_is_named(layer, message):
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, layers.Flatten()(layer(inputs)))
    with pytest.raises(ValueError, match=message):
        quantize_aware(model)


@pytest.mark.parametrize("form", NORMALISED)
@pytest.mark.parametrize("nested", [False, True])
def test_operators_that_normalise_are_known(form, nested):
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, NORMALISED[form](inputs))
    assert normalises(keras.Sequential([inputs, model]) if nested else model)


def test_other_operators_do_not_normalise():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    assert not normalises(keras.Model(inputs, keras.ops.relu(x * 2.0 + x)))


def test_a_lambda_converts_with_the_function_that_it_has():
    model = small_model(layers.Lambda(lambda x, by: x * by, arguments={"by": 0.5}))
    assert file_snr_db(model, convert(model, "static_int8", PIXELS).model) > 30


@pytest.mark.parametrize("first", [layers.Rescaling(0.5), lambda x: keras.ops.cast(x, "float32")])
def test_a_model_of_bytes_is_compared_on_bytes(first):
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(first(inputs)))
    model = keras.Model(inputs, x)
    assert normalises(model)
    assert file_snr_db(model, convert(model, "static_int8", PIXELS).model) > 30


def test_names_that_no_graph_takes():
    inputs = keras.Input((16, 16, 3), name="Bild: Größe")
    x = layers.Conv2D(2, 3, name="日本 conv:1")(inputs)
    model = keras.Model(inputs, layers.Flatten(name="_aus gang")(x), name="Käfer, klein")
    assert file_snr_db(model, convert(model, "float32").model) > 100


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_model_that_keras_quantized_is_refused_by_name(mode):
    model = small_model()
    model.quantize(mode)
    with pytest.raises(ValueError, match=rf"before `model.quantize`.*'dense\w*', .*'{mode}'"):
        convert(model, "float32")


def test_a_layer_inside_a_gate_that_keras_quantized_is_refused_by_name():
    model = small_model(SqueezeExcite(ratio=1, name="se"))
    model.quantize("int8")
    with pytest.raises(ValueError, match=r"before `model.quantize`.*'se/\w+', .*'int8'"):
        convert(model, "float32")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Lambda(lambda x: x / 2), "code of a Lambda layer, .*safe_mode=False"),
        (TwoHalves(), "class 'TwoHalves', .*custom_objects"),
    ],
)
def test_a_command_does_not_run_code_from_a_file(layer, message, tmp_path):
    path = tmp_path / "model.keras"
    small_model(layer).save(path)
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_one_of_several_outputs_converts_as_the_message_says():
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs))
    model = keras.Model(inputs, [layers.Dense(2)(x), layers.Dense(3)(x)])
    with pytest.raises(ValueError, match=r"keras.Model\(model.inputs, model.outputs\[0\]\)"):
        convert(model, "float32")
    convert(keras.Model(model.inputs, model.outputs[0]), "float32", min_snr_db=90)
