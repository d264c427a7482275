"""Conversion end to end, each file run in the LiteRT interpreter."""

import json
import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se.tflite import RECIPES, BoundNotMet, Bounds, Runner, convert, get_recipe, inspect

layers = keras.layers
STATIC = [name for name, recipe in RECIPES.items() if recipe.needs_calibration]
MIN_SNR_DB = {
    "float32": 100,
    "float16": 55,
    "dynamic_int8": 30,
    "static_int8": 30,
    "mixed_int8": 30,
    "static_int16x8": 40,
}


class Pixels:
    def __init__(self, channel_order="rgb"):
        self.mean, self.std = (123.7, 116.8, 103.9), (58.4, 57.1, 57.4)
        self.channel_order = channel_order

    def __call__(self, images):
        images = np.asarray(images, "float32")
        if self.channel_order == "bgr":
            images = images[..., ::-1]
        return (images - self.mean) / self.std


def se_model(activation="softmax", gate_bias="zeros"):
    """A convolution, Squeeze-and-Excitation as 1x1 convolutions, a classifier."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(8, 1, activation="relu")(gate)
    gate = layers.Conv2D(32, 1, activation="sigmoid", bias_initializer=gate_bias)(gate)
    x = layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))
    return keras.Model(inputs, layers.Dense(3, activation=activation)(x))


def raw_pictures(count=24, size=24):
    """Pictures of one dominant colour each, so that their classes differ."""
    random = np.random.default_rng(0)
    colour = random.integers(0, 200, (count, 1, 1, 3))
    return (colour + random.integers(0, 56, (count, size, size, 3))).astype("uint8")


def strongest_colour(pictures):
    return pictures.mean(axis=(1, 2)).argmax(axis=1)


@pytest.fixture(scope="module")
def model():
    """Trained to name the strongest of the three colours, in a second."""
    model = se_model()
    pictures = raw_pictures(256)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.01
    model.fit(Pixels()(pictures), strongest_colour(pictures), epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def static_result(model):
    return convert(model, "static_int8", raw_pictures(), preprocess=Pixels())


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_gives_a_file_that_agrees(model, recipe):
    result = convert(model, recipe, Pixels()(raw_pictures()))
    comparison = result.report.comparison
    assert comparison.snr_db >= MIN_SNR_DB[recipe]
    assert comparison.agreement >= (0.9 if recipe in STATIC else 1.0)
    assert comparison.measured_on == "logits"
    assert result.report.compared_on == "images"
    inspection = result.report.inspection
    if recipe != "static_int16x8":  # XNNPACK has no operators for it
        assert inspection.partitions == 1
        left = {"QUANTIZE", "SOFTMAX"} if recipe in STATIC else set()
        assert set(inspection.not_delegated) <= left
    assert [tensor.dtype for tensor in (*inspection.inputs, *inspection.outputs)] == (
        [result.recipe.ios[0]] * 2
    )
    assert inspection.is_strict_int8 == recipe.startswith("static")
    json.dumps(result.to_dict(), allow_nan=False)
    assert str(result.report)
    assert Runner(result.model).interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["output"]}
    }


def test_the_signature_takes_a_picture_by_name(static_result):
    runner, other = (Runner(static_result.model) for _ in range(2))
    classify = runner.interpreter.get_signature_runner()
    for picture in raw_pictures(3):
        stored = classify(image=picture[None])["output"]
        assert np.array_equal(runner.outputs[0].dequantize(stored), other(picture)[0])


def test_squeeze_excite_is_five_operators_and_batch_normalization_is_folded(static_result):
    expected = "MEAN CONV_2D CONV_2D LOGISTIC MUL".split()
    # QUANTIZE, the preprocessing and the first convolution come before.
    before, after = "QUANTIZE CONV_2D CONV_2D", "MEAN FULLY_CONNECTED SOFTMAX QUANTIZE"
    sequence = list(static_result.report.inspection.sequence)
    assert sequence == [*before.split(), *expected, *after.split()]


@pytest.mark.parametrize("io", get_recipe("static_int8").ios)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_raw_picture_bytes_give_the_top1_of_keras(model, io, order):
    pictures, preprocess = raw_pictures(), Pixels(order)
    result = convert(model, "static_int8", pictures[:12], io=io, preprocess=preprocess)
    runner = Runner(result.model)
    tensor = runner.inputs[0]
    if io != "float32":
        assert (tensor.scale, tensor.zero_point) == (1.0, {"uint8": 0, "int8": -128}[io])
    assert result.report.inspection.is_strict_int8
    # The interpreter itself, fed with the stored bytes: nothing of ours in between.
    stored = {"uint8": pictures, "int8": (pictures.astype("int16") - 128).astype("int8")}
    stored = stored.get(io, pictures.astype("float32"))
    interpreter = runner.interpreter
    top1 = []
    for picture in stored:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
        interpreter.invoke()
        top1.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).argmax())
    keras_top1 = model.predict(preprocess(pictures), verbose=0).argmax(axis=1)
    assert len(set(keras_top1)) > 1
    assert (np.array(top1) == keras_top1).mean() >= 0.95


def test_pictures_without_black_and_white_still_give_scale_1(model):
    grey = np.clip(raw_pictures(), 100, 150)
    tensor = convert(model, "static_int8", grey, preprocess=Pixels()).report.inspection.inputs[0]
    assert (tensor.scale, tensor.zero_point) == (1.0, 0)


def test_logits_leave_the_softmax_out_of_the_file(model):
    result = convert(model, "static_int8", raw_pictures(), preprocess=Pixels(), logits=True)
    assert "SOFTMAX" not in result.report.inspection.sequence
    assert result.report.comparison.measured_on == "logits"
    assert result.report.comparison.snr_db > 30


def test_a_float_recipe_without_images_is_compared_on_noise_and_says_so(model):
    report = convert(model, "float32").report
    assert report.compared_on == "noise"
    assert "noise" in str(report)


def test_the_same_gate_made_small_is_reported_and_not_an_exception():
    """int8 sigmoids have steps of 1/256: a gate of 0.0025 loses its value."""
    small = se_model(gate_bias=keras.initializers.Constant(-6.0))
    images = Pixels()(raw_pictures())
    result = convert(small, "static_int8", images)
    assert result.report.comparison.snr_db < 20
    with pytest.raises(BoundNotMet, match="min_snr_db=25") as caught:
        convert(small, "static_int8", images, min_snr_db=25)
    assert caught.value.result.model == result.model


def test_min_agreement_is_a_bound(model):
    comparison = convert(
        model, "float32", Pixels()(raw_pictures()), min_agreement=1
    ).report.comparison
    missed = Bounds(min_agreement=0.9).violation(replace(comparison, agreement=0.8))
    assert "agreement is 0.8000, below min_agreement=0.9" in missed
    one_unit = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(ValueError, match="min_agreement needs"):
        convert(one_unit, "float32", min_agreement=0.9)


def test_an_open_size_is_fixed_at_conversion():
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    result = convert(model, "float32", input_size=(12, 10))
    assert result.report.inspection.inputs[0].shape == (1, 12, 10, 3)
    assert result.report.comparison.agreement is None
    assert result.report.comparison.snr_db > 100


def test_mobilenet_of_keras_applications():
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=5)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3))
    inspection = convert(model, "static_int8", images).report.inspection
    assert inspection.is_strict_int8
    assert inspection.partitions == 1
    counts = {operator.name: operator.count for operator in inspection.operators}
    assert (counts["CONV_2D"], counts["DEPTHWISE_CONV_2D"], counts["ADD"]) == (35, 17, 10)


class Spectrum(layers.Layer):
    def call(self, inputs):
        import tensorflow as tf

        return tf.math.bessel_i0e(inputs)


def test_an_operator_that_is_not_built_in_is_an_error_and_never_flex():
    model = keras.Sequential([keras.Input((4, 4, 3)), Spectrum(), layers.Flatten()])
    with pytest.raises(RuntimeError, match=r"converter refuses.*built-in operators only"):
        convert(model, "float32")


class Sine(layers.Layer):
    def call(self, inputs):
        return keras.ops.sin(inputs)


def test_an_operator_without_integers_is_an_error_in_a_strict_file():
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1), Sine()])
    with pytest.raises(RuntimeError, match=r"left float operators.*'SIN'"):
        convert(model, "static_int8", np.random.default_rng(0).normal(size=(4, 4, 4, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "int4"}, "Unknown recipe 'int4'; expected one of"),
        ({"recipe": "float32", "io": "uint8"}, "Received: io='uint8'"),
        ({"io": "int16"}, "Received: io='int16'"),
        ({}, "needs images"),
        ({"calibration": np.empty((0, 24, 24, 3))}, "No images"),
        ({"calibration": np.full((1, 24, 24, 3), np.nan)}, "NaN"),
        ({"calibration": np.zeros((1, 8, 8, 3))}, "shape"),
        ({"calibration": np.full((1, 24, 24, 3), 300), "preprocess": Pixels()}, "255"),
        ({"recipe": "float32", "input_size": 8}, "input_size=8"),
        ({"recipe": "float32", "input_size": (24, -24)}, "number of pixels.*-24"),
        ({"recipe": "float32", "input_size": 24.5}, "number of pixels.*24.5"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(model, monkeypatch, arguments, message):
    def fail(*args, **kwargs):
        raise AssertionError("the conversion has started")

    monkeypatch.setitem(convert.__globals__, "lower", fail)
    with pytest.raises(ValueError, match=message):
        convert(model, **arguments)


def test_another_backend_is_refused(model, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        convert(model, "float32")


def test_save_writes_the_file_and_refuses_to_overwrite(static_result, tmp_path):
    path = tmp_path / "model.tflite"
    assert static_result.save(path) == path
    assert path.read_bytes() == static_result.model
    assert inspect(path) == static_result.report.inspection
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        static_result.save(path)
    assert path.read_bytes() == b"precious"
    static_result.save(str(path), overwrite=True)
    assert path.read_bytes() == static_result.model
    assert os.listdir(tmp_path) == ["model.tflite"]


@pytest.mark.parametrize("broken", ["os.replace", "os.fsync"])
def test_a_failed_save_leaves_the_old_file_and_no_other(
    static_result, tmp_path, monkeypatch, broken
):
    def fail(*args):
        raise OSError("disk full")

    path = Path(tmp_path, "model.tflite")
    path.write_bytes(b"precious")
    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="disk full"):
        static_result.save(path, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["model.tflite"]
