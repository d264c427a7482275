"""Grouped convolutions of quantization-aware models: wider in the file than in training."""

import keras
import numpy as np
import pytest

from keras_se.layers import BatchNorm, GroupedConv2D
from keras_se.tflite import Lowering, compare, convert, quantize_aware
from keras_se.tflite.qat.deploy import deployed
from keras_se.tflite.qat.layers import DeployedConv2D

layers = keras.layers


def pictures():
    return np.random.default_rng(0).normal(size=(8, 12, 12, 16)).astype("float32")


@pytest.fixture(scope="module")
def quantized():
    """A convolution in 4 groups of 4 channels with BatchNorm, and one in 2 of 16 with a bias."""
    inputs = keras.Input((12, 12, 16))
    x = layers.ReLU()(BatchNorm()(GroupedConv2D(32, 3, groups=4, use_bias=False)(inputs)))
    x = GroupedConv2D(32, 3, groups=2, bias_initializer="glorot_normal")(x)
    outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    return quantize_aware(keras.Model(inputs, outputs), calibration=pictures())


@pytest.mark.parametrize(
    ("groups", "expected"), [("auto", [1, 2]), ("keep", [4, 2]), ("dense", [1, 1])]
)
def test_the_file_equals_the_model_in_every_form(quantized, groups, expected):
    convs = [x for x in deployed(quantized, groups).layers if isinstance(x, DeployedConv2D)]
    assert [conv.groups for conv in convs] == expected
    result = convert(quantized, lowering=Lowering(groups=groups))
    assert result.report.inspection.is_strict_int8
    assert result.report.inspection.sequence.count("CONV_2D") == 2
    assert compare(quantized, result.model, pictures()).snr_db >= 40


def test_groups_are_widened_without_being_asked(quantized):
    kept = convert(quantized, lowering=Lowering(groups="keep"))
    assert len(convert(quantized).model) > len(kept.model)


def test_another_form_than_the_trained_one_is_refused(quantized):
    with pytest.raises(ValueError, match=r"Lowering\(groups=...\)"):
        convert(quantized, lowering=Lowering(groups="dense", fold_squeeze=False))
