"""Networks of keras.applications as files, with their own normalisation or one that is added."""

import keras
import numpy as np
import pytest

from keras_se.applications import Preprocessing
from keras_se.tflite import RECIPES, convert

layers = keras.layers
CAFFE = Preprocessing((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "bgr")
SLOW = pytest.mark.slow
# What normalises, and the lowest SNR of an int8 file in dB: untrained networks magnify rounding.
NETWORKS = {
    "MobileNetV3Small": ("included", 8),
    "MobileNetV3Large": ("included", 5),
    "EfficientNetB0": ("included", 5),
    "ResNet50": (CAFFE, 25),
}
CASES = [
    pytest.param(name, recipe, marks=() if name == "MobileNetV3Small" else SLOW)
    for name in NETWORKS
    for recipe in ("float32", "static_int8", "mixed_int8")
]


def pictures(count=16, size=64):
    """Coloured patches and some noise, raw pixels."""
    random = np.random.default_rng(0)
    patches = random.integers(30, 226, (count, 8, 8, 3)).repeat(size // 8, 1).repeat(size // 8, 2)
    return (patches + random.integers(-30, 30, patches.shape)).astype("uint8")


def network(name, images):
    """With random weights, and statistics of pictures: else what arrives fades in the depth."""
    model = getattr(keras.applications, name)(
        weights=None, input_shape=images.shape[1:], classes=10
    )
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_networks_of_keras_applications(name, recipe):
    preprocess, lowest_snr_db = NETWORKS[name]
    pixels = pictures()
    expected = pixels.astype("float32") if preprocess == "included" else preprocess(pixels)
    result = convert(network(name, expected), recipe, pixels, preprocess=preprocess)
    report = result.report
    file_input, comparison = report.inspection.inputs[0], report.comparison
    assert report.inspection.partitions == 1
    if recipe == "float32":
        assert (file_input.dtype, comparison.agreement) == ("float32", 1)
        assert comparison.snr_db > 80
        return
    assert (file_input.dtype, file_input.scale, file_input.zero_point) == ("uint8", 1, 0)
    assert set(report.inspection.not_delegated) <= {"QUANTIZE", "SOFTMAX", "LOGISTIC", "DEQUANTIZE"}
    assert RECIPES[recipe].float_gates or report.inspection.is_strict_int8
    assert comparison.snr_db > lowest_snr_db
    reasons = [layer.reason for layer in report.worst_layers if layer.reason]
    assert comparison.snr_db >= 30 or reasons or report.spread_loss or report.small_gates
