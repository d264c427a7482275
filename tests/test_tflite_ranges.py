"""Ranges that pictures leave at zero or nearly so, and what they would do to integer files."""

import keras
import numpy as np
import pytest

from keras_se.layers import CBAM
from keras_se.tflite import RECIPES, Images, convert, lower, quantize_aware
from keras_se.tflite.converter import convert_file
from keras_se.tflite.file import flatfile

layers = keras.layers
MIN_SNR_DB = {"static_int8": 30, "static_int16x8": 40}
IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 16)).astype("float32")
NEVER = -50.0


def cbam_whose_maximum_fires_up_to(height):
    """CBAM whose hidden layer reads the mean as usual, and the maximum hardly or never."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 16))
    cbam = CBAM(ratio=4)
    model = keras.Model(inputs, cbam(layers.ReLU()(inputs)))
    reduce, expand = cbam.channel.reduce, cbam.channel.expand
    kernel = -np.abs(np.asarray(reduce.kernel))  # the maximum is above the mean
    largest = (np.maximum(IMAGES, 0).max((1, 2)) @ kernel.reshape(16, -1)).max(0)
    reduce.kernel.assign(kernel)
    reduce.bias.assign(height - largest if height > 0 else np.full(4, height))
    expand.bias.assign(np.random.default_rng(1).normal(size=16))
    return model


@pytest.mark.parametrize("recipe", MIN_SNR_DB)
@pytest.mark.parametrize("height", [NEVER, 1e-5, 1e-4, 1.0])
def test_a_shared_kernel_serves_an_input_that_hardly_fires(recipe, height):
    result = convert(cbam_whose_maximum_fires_up_to(height), recipe, IMAGES)
    assert result.report.comparison.snr_db > MIN_SNR_DB[recipe]


@pytest.mark.parametrize("last", ["conv", "dense"])
def test_a_dead_layer_leaves_the_bias_of_the_next(last):
    inputs = keras.Input((8, 8, 16))
    dead = keras.initializers.Constant(NEVER)
    x = layers.GlobalAveragePooling2D(keepdims=last == "conv")(inputs)
    build = {"conv": lambda n, **o: layers.Conv2D(n, 1, **o), "dense": layers.Dense}[last]
    x = build(8, activation="relu", bias_initializer=dead)(x)
    model = keras.Model(inputs, build(3, bias_initializer=keras.initializers.Constant(0.7))(x))
    assert convert(model, "static_int16x8", IMAGES).report.comparison.snr_db > 40


@pytest.mark.parametrize("recipe", MIN_SNR_DB)
def test_a_shared_kernel_serves_two_inputs_that_are_small(recipe):
    """In int16 the steps of their products differ by less than NumPy's atol of 1e-8."""
    inputs = keras.Input((8, 8, 16))
    shared = layers.Conv2D(4, 1, bias_initializer=keras.initializers.Constant(0.02))
    outputs = layers.Concatenate()([shared(inputs), shared(layers.Rescaling(0.3)(inputs))])
    result = convert(keras.Model(inputs, outputs), recipe, IMAGES * 0.01)
    assert result.report.comparison.snr_db > MIN_SNR_DB[recipe]


@pytest.mark.parametrize("recipe", [*MIN_SNR_DB, "quantize_aware"])
def test_an_output_that_never_fires_has_a_range(recipe):
    """With steps of 8e-9 LiteRT refuses the file, or ends the process."""
    inputs = keras.Input((8, 8, 16))
    dead = keras.initializers.Constant(NEVER)
    x = layers.Conv2D(3, 3, activation="relu", bias_initializer=dead)(inputs)
    model = keras.Model(inputs, layers.MaxPooling2D(2)(x))
    if recipe == "quantize_aware":
        result = convert(quantize_aware(model, calibration=IMAGES), io="int8")
    else:
        result = convert(model, recipe, IMAGES, io="int16" if "16" in recipe else "int8")
    assert result.report.comparison.max_abs_error == 0
    assert result.report.inspection.outputs[0].scale > 1e-5


def outlier_model(factor):
    """A channel so much larger than the others, which alone matter behind it."""
    inputs = keras.Input((8, 8, 4))
    first, second = layers.Conv2D(4, 1, use_bias=False), layers.Conv2D(2, 1)
    model = keras.Model(inputs, second(layers.MaxPooling2D(2)(first(inputs))))
    first.set_weights([np.diag([1, 1, factor, 1]).astype("float32")[None, None]])
    second.kernel.assign(np.ones((1, 1, 4, 2)) * np.array([1, 1, 0, 1])[:, None])
    return model


@pytest.mark.parametrize(("factor", "poor"), [(500, False), (1e5, True)])
def test_a_poor_int16_file_names_the_layer(factor, poor):
    report = convert(outlier_model(factor), "static_int16x8", IMAGES[..., :4]).report
    assert (report.comparison.snr_db < 30) == poor
    assert [layer.operator for layer in report.worst_layers] == ["CONV_2D"] * poor
    assert ("layers that lose most" in str(report)) == poor


def test_int16_has_no_gates_too_small_for_int8():
    gate = layers.Conv2D(
        16, 1, activation="sigmoid", bias_initializer=keras.initializers.Constant(-7)
    )
    inputs = keras.Input((8, 8, 16))
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    model = keras.Model(inputs, layers.Multiply()([inputs, gate(pooled)]))
    report = convert(model, "static_int16x8", IMAGES).report
    assert report.comparison.snr_db > 35
    assert report.gates == ()


@pytest.mark.parametrize("join", ["Add", "Multiply", "Subtract"])
def test_a_summand_has_its_own_range_and_not_that_of_the_sum(join):
    """The sum is written over its first summand, at which TensorFlow's calibrator looks again."""
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")
    inputs = keras.Input((8, 8, 4))
    small, large = (
        layers.Conv2D(4, 1, kernel_initializer=keras.initializers.Constant(value))(inputs)
        for value in (0.1, 10.0)
    )
    model = keras.Model(inputs, layers.Conv2D(4, 1)(getattr(layers, join)()([small, large])))
    recipe = RECIPES["static_int8"]
    _, calibrated = convert_file(lower(model), recipe, "int8", Images(images), False)
    tree = flatfile.unpack(calibrated)
    graph = tree.subgraphs[0]
    name = join.upper()[:3]  # ADD, MUL, SUB
    (joined,) = (op for op in graph.operators if flatfile.operator_name(tree, op) == name)
    for index, tensor in zip(joined.inputs, (small, large), strict=True):
        values = keras.Model(inputs, tensor).predict(images, verbose=0)
        quantization = graph.tensors[index].quantization
        ends = [quantization.min[0], quantization.max[0]]
        np.testing.assert_allclose(ends, [values.min(), values.max()], rtol=1e-4)
