"""Every operator of a quantized file gives what the model gives: the same integers.

Each layer is given the very tensors that the file computed before it, so that a difference is
found where it is made. Convolutions, sums and products are equal in every value; operators whose
rounding is not that of XNNPACK's kernels, by one step in a small share of the values.
"""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_se.applications import ResNetCIFAR
from keras_se.layers import GATES, ResidualTail, SelectiveKernelConv2D, SqueezeExcite
from keras_se.tflite import Runner, convert, quantize_aware
from keras_se.tflite.file import flatfile
from keras_se.tflite.qat import integers
from keras_se.tflite.qat.fake_quant import FakeQuant
from keras_se.tflite.qat.graph import trace
from keras_se.tflite.qat.kernel import Kernel
from keras_se.tflite.qat.layers import QuantizedConv2D

layers = keras.layers
NO_INT8_FORM = {"gc"}  # a softmax over the pixels and a LayerNorm
EXACT = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "ADD", "SUB")
MOST_ON_THE_BORDER = 0.005  # share of values that fall to the other side


class Pixels:
    mean, std, channel_order = (127.0,) * 3, (64.0,) * 3, "rgb"

    def __call__(self, images):
        return (np.asarray(images, "float32") - 127.0) / 64.0


def pictures(size):
    return np.random.default_rng(0).integers(0, 256, (8, size, size, 3), "uint8")


def steps_apart(quantized, images):
    """By layer and operator, how many steps the file is from the model, for every value."""
    content = convert(quantized, calibration=images).model
    nodes = trace(quantized)
    file = flatfile.unpack(content)
    tensors = [matching_tensor(node, file) for node in nodes]
    asked = sorted({tensor for tensor in tensors if tensor is not None})
    runner = Runner(flatfile.with_outputs(content, asked))
    kinds = {
        output: flatfile.operator_name(file, operator)
        for operator in file.subgraphs[0].operators
        for output in operator.outputs
    }
    apart = {}
    for image in images:
        computed = dict(zip(asked, runner(image)[-len(asked) :], strict=True))
        calls = iter(zip(nodes[1:], tensors[1:], strict=True))

        def call(operation, *args, calls=calls, computed=computed, **kwargs):
            node, tensor = next(calls)
            outputs = integers.run(operation, *args, **kwargs)
            if tensor is None:
                return outputs
            value = computed[tensor].reshape(outputs.whole.shape) / np.asarray(outputs.step)
            name = node.inputs[0].operation.name, kinds[tensor]
            apart.setdefault(name, []).append(np.asarray(outputs.whole) - np.round(value))
            return replace(outputs, whole=keras.ops.array(np.round(value), "float32"))

        quantized._run_through_graph(keras.ops.array(image[None], "float32"), call_fn=call)
    ranges = sum(node.is_a(FakeQuant) for node in nodes)
    return {name: np.stack(values) for name, values in apart.items()}, ranges


def matching_tensor(node, file):
    """The file's tensor that a `FakeQuant` rounds: named after its layer, with its scale."""
    if not node.is_a(FakeQuant) or node.inputs[0].operation is None:
        return None
    source = node.inputs[0]
    if source.is_a(layers.BatchNormalization):  # folded
        source = source.inputs[0]
    graph = file.subgraphs[0]
    step, zero = map(float, integers.output_step(node.operation))
    for operator in reversed(graph.operators):
        tensor = graph.tensors[operator.outputs[0]]
        stored = tensor.quantization
        named = f"/{source.operation.name}_1/" in f"{tensor.name.decode()}/"
        if named and (stored.scale[0], stored.zeroPoint[0]) == (step, zero):
            return int(operator.outputs[0])
    return None


def check(model, size, most_unmatched=0.2):
    images = pictures(size)
    apart, ranges = steps_apart(quantize_aware(model, Pixels(), images), images[:3])
    assert len(apart) >= (1 - most_unmatched) * ranges - 1  # names differ where the converter fuses
    for (name, kind), steps in apart.items():
        most = 0 if kind in EXACT else max(MOST_ON_THE_BORDER, 1.5 / steps.size)
        assert np.mean(steps != 0) <= most, (name, kind)
        assert np.abs(steps).max() <= 1, (name, kind)


def every_gate(x):
    for gate in sorted(GATES.keys() - NO_INT8_FORM):
        x = GATES[gate]()(layers.Conv2D(16, 1)(x))
    return x


def test_our_layers():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = every_gate(x)
    x = SelectiveKernelConv2D(16, groups=2)(x)
    residual = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = ResidualTail(gate=SqueezeExcite(ratio=4))([residual, x])
    outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    check(keras.Model(inputs, outputs), 12)


def test_average_pools():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    x = layers.AveragePooling2D((1, 2))(x)  # of two strides: it stays a pool
    for size, padding in ((3, "same"), (3, "same"), (4, "same"), (2, "valid")):
        x = layers.AveragePooling2D(size, 1 if size == 3 else 2, padding=padding)(x)
        x = layers.Conv2D(8, 1, activation="relu")(x)
    check(keras.Model(inputs, layers.Dense(5)(layers.GlobalMaxPooling2D()(x))), 12)


def test_weights_between_two_steps_are_rounded_alike_when_compiled():
    layer = QuantizedConv2D(256, 1)
    layer.build((None, 1, 1, 127))
    largest = np.random.default_rng(0).uniform(0.1, 1, 256).astype("float32")
    between = (np.arange(127, dtype="float32") + 0.5)[:, None] * largest / 127
    between[-1] = largest
    layer.kernel.assign(between[None, None])

    def whole():
        return Kernel.of(layer).whole

    expected = np.asarray(whole())
    for jit_compile in (False, True):
        compiled = tf.function(whole, jit_compile=jit_compile)
        np.testing.assert_array_equal(compiled(), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [("MobileNetV2", 32, {"alpha": 0.35}), ("ResNet50", 32, {}), ("InceptionV3", 75, {})],
)
def test_keras_applications(name, size, options):
    constructor = getattr(keras.applications, name)
    model = constructor(weights=None, input_shape=(size, size, 3), classes=10, **options)
    for layer in model.layers:  # statistics of pictures, or what arrives vanishes in the depth
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(Pixels()(pictures(size)), training=True)
    check(model, size)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"attention": "se"}, {"attention": "cbam"}, {"conv": "sk"}])
def test_networks(options):
    check(ResNetCIFAR(8, weights=None, **options), 32)
