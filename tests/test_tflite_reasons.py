"""What the report says of a poor file, by every recipe that can make one."""

import math

import keras
import numpy as np
import pytest

from keras_se.layers import SqueezeExcite
from keras_se.tflite import RECIPES, Images, convert, quantize_aware
from keras_se.tflite.accuracy.layerwise import LayerError, layer_errors, spread_loss
from keras_se.tflite.converter import run_converter
from keras_se.tflite.qat.deploy import deployed

layers = keras.layers
IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")


def functional(*steps):
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 4))
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x)


def outlier():
    """A channel that is far larger than the others, and that the next layer leaves out."""
    first, second = layers.Conv2D(32, 1, activation="relu"), layers.Conv2D(32, 1)  # 1024 weights
    model = functional(first, second)
    for layer, axis, factor in ((first, -1, 1e4), (second, -2, 0)):
        kernel = np.moveaxis(layer.kernel.numpy(), axis, 0).copy()
        kernel[2] *= factor
        layer.kernel.assign(np.moveaxis(kernel, 0, axis))
    return model


def overflow():
    """A weight that float16 has no number for."""
    large = layers.Conv2D(4, 1, activation="relu")
    model = functional(large, layers.Conv2D(2, 1))
    large.kernel.assign(np.full((1, 1, 4, 4), 1e6))
    return model


def cancelling():
    """A BatchNorm that divides by a deviation far smaller than the mean."""
    large, norm = layers.Conv2D(4, 1, activation="relu"), layers.BatchNormalization(epsilon=1e-8)
    pool, mix = layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(4, 1)
    model = functional(large, pool, mix, norm)
    large.kernel.assign(large.kernel * 0.1)
    large.bias.assign(np.full(4, 30.0))
    outputs = keras.Model(model.inputs, mix.output).predict(IMAGES, verbose=0)
    norm.moving_mean.assign(outputs.mean((0, 1, 2)))
    norm.moving_variance.assign(outputs.var((0, 1, 2)))
    return model


def shut_twice():
    """Two gates of 0.0003, one behind the other."""
    blocks = [step for _ in range(2) for step in (layers.Conv2D(8, 3), SqueezeExcite(ratio=2))]
    model = functional(*blocks, layers.GlobalAveragePooling2D(), layers.Dense(3))
    for gate in blocks[1::2]:
        gate.expand.bias.assign(np.full(8, -8.0))
    return model


CASES = {
    "outlier": (outlier, "dynamic_int8", "outlier channel 2"),
    "overflow": (overflow, "float16", "kernel outside float16's"),
    "cancelling": (cancelling, "static_int8", "magnified rounding"),
    "tiny values": (shut_twice, "mixed_int8", "tiny values"),
    "small gate": (shut_twice, "static_int8", "small gate"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_poor_file_says_why(case):
    build, recipe, reason = CASES[case]
    report = convert(build(), recipe, IMAGES).report
    assert not report.comparison.snr_db >= 30
    assert any((layer.reason or "").startswith(reason) for layer in report.worst_layers)
    assert report.spread_loss is None
    assert reason in str(report)


def test_what_is_lost_bit_by_bit_is_said_too():
    steps = [layers.Conv2D(4, 3, padding="same", activation="tanh") for _ in range(24)]
    model = functional(*steps)
    for step in steps:
        step.kernel.assign(step.kernel * 2)
    report = convert(model, "static_int8", IMAGES).report
    assert report.comparison.snr_db < 30
    assert report.worst_layers == ()
    assert "the rounding of 48 adds up" in report.spread_loss
    assert report.spread_loss in str(report)
    assert report.to_dict()["spread_loss"] == report.spread_loss


def test_a_layer_that_loses_little_without_a_known_reason_explains_nothing():
    first = LayerError("first", "CONV_2D", 50.0, math.inf, None)
    last = LayerError("last", "CONV_2D", 12.0, 13.0, None)

    def spread(snr_db, reason=None):
        return spread_loss((first, LayerError("middle", "MUL", snr_db, 40.0, reason), last))

    assert spread(36.0).startswith("no operator loses 6 dB by itself; the rounding of 3 adds up")
    assert spread(38.0).startswith("no operator loses 3 dB")
    assert spread(30.0) is spread(36.0, "clipped") is None


def test_a_good_file_has_nothing_to_explain():
    report = convert(functional(layers.Conv2D(4, 3)), "dynamic_int8", IMAGES).report
    assert (report.worst_layers, report.spread_loss) == ((), None)
    assert "what lowers the SNR" not in str(report)


def test_a_quantized_model_is_compared_with_its_float_file():
    """Its pixels are uint8, and nothing calibrated it."""
    steps = [layers.Conv2D(4, 3, padding="same", activation="relu") for _ in range(2)]
    model = deployed(quantize_aware(functional(*steps), calibration=IMAGES))
    files = [
        run_converter(model, RECIPES[name], io, None, False)
        for name, io in (("float32", "float32"), ("static_int8", "uint8"))
    ]
    errors = layer_errors(*files, Images(IMAGES))
    assert [error.operator for error in errors].count("CONV_2D") == 2
    assert all(error.snr_db > 30 for error in errors)
