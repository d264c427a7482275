"""Our own layers in a converted file: operators, strict int8, one XNNPACK partition."""

import keras
import numpy as np
import pytest

from keras_se.layers import (
    CBAM,
    GATES,
    GroupedConv2D,
    SelectiveKernelConv2D,
    SpatialAttention,
    SpatialTransformer,
    SqueezeExcite,
)
from keras_se.tflite import RECIPES, convert

layers = keras.layers
# XNNPACK has no integer form of these. Global context needs a softmax over the pixels and a
# LayerNorm: one exponential of a map, and two inverse square roots of (1, 1, 1, c) tensors.
INTEGERS_ON_CPU = {"gc": {"EXP", "RSQRT"}}
IMAGES = np.random.default_rng(0).normal(size=(8, 12, 12, 16)).astype("float32")


def model_of(layer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 16))
    return keras.Model(inputs, layer(inputs))


def operators(result):
    return [name for name in result.report.inspection.sequence if name != "QUANTIZE"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("gate", GATES)
def test_every_gate_converts_with_every_recipe(gate, recipe):
    result = convert(model_of(GATES[gate]()), recipe, IMAGES)
    inspection = result.report.inspection
    integers = RECIPES[recipe].needs_calibration
    on_cpu = INTEGERS_ON_CPU.get(gate, set()) if integers else set()
    assert result.report.comparison.snr_db > 25
    if recipe != "static_int16x8":  # XNNPACK has no operators for it
        assert set(inspection.not_delegated) - {"QUANTIZE"} == on_cpu
        assert inspection.partitions == 1 or on_cpu
    assert inspection.is_strict_int8 == recipe.startswith("static") or (
        recipe == "mixed_int8" and not result.report.gates
    )


def test_squeeze_excite_is_five_operators():
    result = convert(model_of(SqueezeExcite(ratio=4)), "static_int8", IMAGES)
    assert operators(result) == ["MEAN", "CONV_2D", "CONV_2D", "LOGISTIC", "MUL"]


def test_selective_kernel_of_two_branches_is_ten_operators_and_one_partition():
    layer = SelectiveKernelConv2D(16, groups=4)
    result = convert(model_of(layer), "static_int8", IMAGES)
    assert operators(result) == (
        "CONV_2D CONV_2D SUB ADD MEAN CONV_2D CONV_2D LOGISTIC MUL ADD".split()
    )
    assert result.report.inspection.partitions == 1
    assert result.report.comparison.snr_db > 25


def test_selective_kernel_of_three_branches_leaves_only_the_softmax_to_the_cpu():
    layer = SelectiveKernelConv2D(16, branches=3, groups=4)
    result = convert(model_of(layer), "static_int8", IMAGES)
    inspection = result.report.inspection
    assert operators(result).count("CONV_2D") == 5
    assert operators(result).count("MUL") == 3
    assert set(inspection.not_delegated) == {"QUANTIZE", "SOFTMAX"}
    assert inspection.is_strict_int8
    assert result.report.comparison.snr_db > 25


def test_cbam_is_one_partition_without_a_concatenation():
    """Maximum and mean in one tensor would share one int8 scale."""
    result = convert(model_of(CBAM(ratio=4)), "static_int8", IMAGES)
    counts = {name: operators(result).count(name) for name in operators(result)}
    expected = {"MEAN": 2, "REDUCE_MAX": 2, "CONV_2D": 5, "ADD": 2, "LOGISTIC": 2, "MUL": 2}
    assert {name: n for name, n in counts.items() if name != "RESHAPE"} == expected
    assert result.report.inspection.partitions == 1


def test_rows_as_channels_lose_no_more_than_one_convolution_for_each_map():
    """The fast form of CBAM's 7x7 convolution beside the plain one, both in int8."""
    gate = SpatialAttention()
    model = model_of(gate)
    kernel = np.random.default_rng(1).normal(0, 0.3, (7, 7, 2, 1))
    gate.conv.kernel.assign(kernel)
    gate.norm.gamma.assign([1.0])

    inputs = keras.Input((12, 12, 16))
    pixels = layers.Reshape((144, 16))(inputs)
    pools = [layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D]
    maps = [pool(data_format="channels_first", keepdims=True)(pixels) for pool in pools]
    convs = [layers.Conv2D(1, 7, padding="same", use_bias=False) for _ in maps]
    logits = [c(layers.Reshape((12, 12, 1))(x)) for c, x in zip(convs, maps, strict=True)]
    attention = layers.Activation("sigmoid")(layers.Add()(logits))
    plain = keras.Model(inputs, layers.Multiply()([inputs, attention]))
    for index, conv in enumerate(convs):
        conv.kernel.assign(kernel[:, :, index : index + 1] / np.sqrt(1 + gate.epsilon))

    np.testing.assert_allclose(plain(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-5)
    rows, each_map = (
        convert(form, "static_int8", IMAGES).report.comparison.snr_db for form in (model, plain)
    )
    assert rows > each_map - 0.5 > 30


def test_a_grouped_convolution_is_one_operator():
    result = convert(model_of(GroupedConv2D(32, 3, groups=4)), "static_int8", IMAGES)
    assert operators(result) == ["CONV_2D"]


def test_a_spatial_transformer_stays_in_float():
    transformer = SpatialTransformer(name="look")
    model = model_of(transformer)
    # Away from the identity, which samples at the pixels themselves.
    transformer.regress.bias.assign(transformer.regress.bias + 0.1)
    assert convert(model, "dynamic_int8", IMAGES).report.comparison.snr_db > 25
    with pytest.raises(RuntimeError, match=r"left float operators .*FLOOR.*look"):
        convert(model, "static_int8", IMAGES)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 1e-3])
def test_a_residual_branch_that_is_zero_or_tiny_still_runs(scale):
    """XNNPACK does not add tensors whose scales differ by more than 1024."""
    inputs = keras.Input((12, 12, 16))
    branch = layers.Rescaling(scale)(layers.Conv2D(16, 3, padding="same")(inputs))
    result = convert(keras.Model(inputs, layers.Add()([inputs, branch])), "static_int8", IMAGES)
    assert result.report.comparison.snr_db > 30
    assert "ADD" not in result.report.inspection.not_delegated


@pytest.mark.parametrize("seed", range(4))
def test_a_gate_with_a_dead_channel_still_runs(seed):
    """With one reduced channel, some seeds leave its ReLU at zero for the maximum or the mean."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((12, 12, 16))
    model = keras.Model(inputs, CBAM(ratio=16)(inputs))
    result = convert(model, "static_int8", IMAGES)
    assert set(result.report.inspection.not_delegated) == {"QUANTIZE"}
    assert result.report.comparison.snr_db > 25
