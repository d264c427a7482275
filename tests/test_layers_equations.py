"""Each layer against its paper's equations, written in NumPy."""

import statistics
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_se.layers import (
    CBAM,
    GATES,
    ChannelAttention,
    EfficientChannelAttention,
    GatherExcite,
    GroupedConv2D,
    PaddedShortcut,
    ResidualTail,
    SelectiveKernelConv2D,
    SpatialAttention,
    SqueezeExcite,
    grouped_conv,
)
from keras_se.layers.gate_functions import GATE_FUNCTIONS
from keras_se.layers.squeeze_excite import SQUEEZES


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


X = normal(2, 9, 8, 32)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# A gate function without its formula here fails the tests that run over GATE_FUNCTIONS.
FORMULAS = {
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "tanh": np.tanh,
    "relu": relu,
    "clip": lambda x: np.clip(x, 0, 1),
    "sigmoid2": lambda x: 2 * sigmoid(x),
}
POOLS = {"avg": np.mean, "max": np.max}


def conv2d(x, kernel, groups=1, stride=1, dilation=1):
    """A loop over the taps, with PyTorch's padding: as many zeros on every side."""
    size, span = len(kernel), dilation * (len(kernel) - 1)
    x = np.pad(x, ((0, 0), *[(span // 2, span // 2)] * 2, (0, 0)))
    height, width = ((n - span - 1) // stride + 1 for n in x.shape[1:3])
    total = 0
    for i, j in np.ndindex(size, size):
        rows, columns = i * dilation, j * dilation
        pixels = x[:, rows:, columns:][:, ::stride, ::stride][:, :height, :width]
        parts = zip(np.split(pixels, groups, -1), np.split(kernel[i, j], groups, -1), strict=True)
        total = total + np.concatenate([p @ k for p, k in parts], -1)
    return total


def batch_norm(x, norm, training=False):
    gamma, beta, mean, variance = norm.get_weights()
    if training:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def built(layer, shape=X.shape):
    """The layer with random weights: scales and variances between 0.5 and 1.5."""
    rng = np.random.default_rng(1)
    layer.build(shape)
    for weight in layer.weights:
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(
            rng.uniform(0.5, 1.5, weight.shape)
            if positive
            else rng.normal(scale=0.3, size=weight.shape)
        )
    return layer


def close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("gate", GATE_FUNCTIONS)
def test_squeeze_excite(gate, squeeze, use_bias):
    layer = built(SqueezeExcite(ratio=4, gate=gate, squeeze=squeeze, use_bias=use_bias))
    w1, w2 = (dense.get_weights()[0] for dense in (layer.reduce, layer.expand))
    b1, b2 = (d.get_weights()[1] if use_bias else 0 for d in (layer.reduce, layer.expand))
    z = POOLS[squeeze](X, (1, 2))
    s = FORMULAS[gate](relu(z @ w1 + b1) @ w2 + b2)
    close(layer(X), s[:, None, None] * X)


@pytest.mark.parametrize("gate", GATE_FUNCTIONS)
def test_channel_attention(gate):
    layer = built(ChannelAttention(ratio=4, gate=gate))
    w1, b1, w2, b2 = layer.get_weights()
    m = FORMULAS[gate](sum(relu(p(X, (1, 2)) @ w1 + b1) @ w2 + b2 for p in POOLS.values()))
    close(layer(X), m[:, None, None] * X)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kernel_size", [3, 7])
def test_spatial_attention(kernel_size, training):
    layer = built(SpatialAttention(kernel_size))
    pooled = np.stack([X.max(-1), X.mean(-1)], -1)
    logits = conv2d(pooled, layer.conv.get_weights()[0])
    m = sigmoid(batch_norm(logits, layer.norm, training))
    close(layer(X, training=training), m * X)


def test_cbam_is_the_channel_gate_then_the_spatial_gate():
    layer = built(CBAM(ratio=4))
    close(layer(X), layer.spatial(layer.channel(X)))


@pytest.mark.parametrize("training", [False, True])
def test_every_argument_of_cbam_reaches_its_parts(training):
    options = {"activation": "tanh", "gate": "hard_sigmoid", "use_bias": False}
    layer = built(CBAM(ratio=4, kernel_size=3, divisor=6, **options))
    w1, w2 = layer.channel.get_weights()
    gate = FORMULAS["hard_sigmoid"]
    m = gate(sum(np.tanh(pool(X, (1, 2)) @ w1) @ w2 for pool in POOLS.values()))
    x = m[:, None, None, :] * X
    logits = conv2d(np.stack([x.max(-1), x.mean(-1)], -1), layer.spatial.conv.get_weights()[0])
    m = gate(batch_norm(logits, layer.spatial.norm, training))
    assert w1.shape == (32, 6)  # 8, in multiples of 6
    close(layer(X, training=training), m * x)


@pytest.mark.parametrize("part", ["channel", "spatial"])
def test_either_part_of_cbam_can_be_left_out(part):
    other = {"channel": "spatial", "spatial": "channel"}[part]
    layer = built(CBAM(ratio=4, **{part: False}))
    close(layer(X), getattr(layer, other)(X))
    assert all(other in weight.path for weight in layer.weights)
    assert CBAM.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("channels, size", [(16, 3), (64, 3), (128, 5), (256, 5), (512, 5)])
def test_eca_kernel_size_follows_the_channels(channels, size):
    """t = int(|(log2(c) + 1) / 2|), plus one if even: the authors' code."""
    layer = EfficientChannelAttention()
    layer.build((None, 7, 7, channels))
    assert layer.conv.kernel_size == (size,)


@pytest.mark.parametrize("kernel_size", [None, 5])
def test_eca(kernel_size):
    layer = built(EfficientChannelAttention(kernel_size))
    w = layer.get_weights()[0][:, 0, 0]
    z = np.pad(X.mean((1, 2)), ((0, 0), (len(w) // 2, len(w) // 2)))
    s = sigmoid(sum(w[i] * z[:, i : i + X.shape[-1]] for i in range(len(w))))
    close(layer(X), s[:, None, None] * X)


@pytest.mark.parametrize("use_bias", [True, False])
def test_sigmoid2_starts_as_the_identity(use_bias):
    layer = SqueezeExcite(ratio=4, gate="sigmoid2", use_bias=use_bias)
    np.testing.assert_array_equal(layer(X), X)


@pytest.mark.parametrize("channels, ratio, divisor, width", [
    (64, 16, 1, 4), (40, 16, 1, 2), (64, 16, 8, 8), (320, 16, 8, 24), (208, 16, 8, 16),
])  # fmt: skip
def test_reduced_width_as_the_authors_and_timm_round(channels, ratio, divisor, width):
    layer = SqueezeExcite(ratio, divisor)
    layer.build((None, 7, 7, channels))
    assert layer.reduce.units == width


@pytest.mark.parametrize("gate", [SqueezeExcite, ChannelAttention])
def test_the_two_layers_of_a_gate_start_different(gate):
    layer = gate(ratio=1)
    layer.build(X.shape)
    assert not np.array_equal(layer.reduce.get_weights()[0], layer.expand.get_weights()[0])


def selective_kernel(layer, x, training=False, activation=relu):
    u = []
    shares = np.split(x, layer.branches, -1) if layer.split_input else [x] * layer.branches
    for i, (conv, norm) in enumerate(zip(layer.convs, layer.norms, strict=True)):
        dilation = layer.dilation * (1 if layer.kernel_sizes else i + 1)
        u.append(conv2d(shares[i], conv.get_weights()[0], layer.groups, layer.strides, dilation))
        u[i] = activation(batch_norm(u[i], norm, training))
    z = sum(u).mean((1, 2), keepdims=True) @ layer.reduce.get_weights()[0]
    z = activation(batch_norm(z, layer.reduce_norm, training))
    logits = (z @ layer.select.get_weights()[0]).reshape(len(x), layer.branches, 1, 1, -1)
    a = softmax(logits, 1)
    return sum(a[:, i] * u[i] for i in range(layer.branches))


@pytest.mark.parametrize("size", [(9, 9), (8, 8), (9, 8)])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    "options",
    [{"branches": 2}, {"branches": 3}, {"branches": 4}, {"kernel_sizes": (3, 5)},
     {"branches": 3, "kernel_sizes": (3, 5, 7)}, {"split_input": True}],
    ids=str,
)  # fmt: skip
def test_selective_kernel(options, strides, size):
    x = normal(2, *size, 16)
    layer = built(SelectiveKernelConv2D(24, groups=4, strides=strides, **options), x.shape)
    close(layer(x), selective_kernel(layer, x))


@pytest.mark.parametrize("kernel_sizes", [None, (3, 5)])
def test_selective_kernel_dilated_and_with_another_activation(kernel_sizes):
    options = {"kernel_sizes": kernel_sizes, "dilation": 2, "activation": "tanh"}
    layer = built(SelectiveKernelConv2D(24, groups=4, **options))
    close(layer(X), selective_kernel(layer, X, activation=np.tanh))


def test_selective_kernel_in_training_mode():
    layer = built(SelectiveKernelConv2D(24, groups=4), X.shape)
    close(layer(X, training=True), selective_kernel(layer, X, training=True), 1e-4)


@pytest.mark.parametrize("filters, ratio, min_width, divisor, width", [
    (128, 16, 32, 1, 32), (1024, 16, 32, 1, 64), (128, 16, 8, 1, 8), (320, 16, 16, 8, 24),
])  # fmt: skip
def test_selective_kernel_fused_width(filters, ratio, min_width, divisor, width):
    layer = SelectiveKernelConv2D(filters, ratio=ratio, min_width=min_width, divisor=divisor)
    layer.build((None, 7, 7, 64))
    assert layer.reduce.units == width


CONVOLUTIONS = [
    {"groups": 1},
    {"groups": 2},  # wider groups than a chunk
    {"groups": 8, "strides": 2, "padding": "same"},
    {"groups": 12, "dilation_rate": 2, "activation": "relu"},
    {"groups": 48, "use_bias": False},
    {"groups": 16, "kernel_size": (1, 3)},
]


@pytest.mark.parametrize("native", [False, True], ids=["chunked", "native"])
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_grouped_convolution_is_keras_own(options, native, monkeypatch):
    monkeypatch.setattr(grouped_conv, "_native", lambda: native)
    x = normal(2, 9, 8, 48)
    arguments = {"filters": 96, "kernel_size": 3} | options
    layer, reference = GroupedConv2D(**arguments), keras.layers.Conv2D(**arguments)
    built(layer, x.shape)
    reference.build(x.shape)
    reference.set_weights(layer.get_weights())
    close(layer(x), reference(x))


@pytest.mark.parametrize("groups", [3, 12, 24, 48])
def test_grouped_convolution_gradients_are_those_of_the_dense_one(groups):
    x = tf.constant(normal(2, 9, 8, 48))
    layer = built(GroupedConv2D(96, 3, padding="same", groups=groups, use_bias=False), x.shape)
    inside = np.kron(np.eye(groups), np.ones((48 // groups, 96 // groups)))
    dense = np.tile(layer.get_weights()[0], (1, 1, groups, 1)) * inside
    weights = normal(2, 9, 8, 96)

    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * weights)
    dx, dk = tape.gradient(loss, [x, layer.kernel.value])
    with tf.GradientTape() as tape:
        tape.watch([x, kernel := tf.constant(dense, "float32")])
        loss = tf.reduce_sum(tf.nn.conv2d(x, kernel, 1, "SAME") * weights)
    dx_dense, dk_dense = tape.gradient(loss, [x, kernel])
    close(dx, dx_dense, 1e-4)  # sums of 864 products
    blocks = (dk_dense.numpy() * inside).reshape(3, 3, groups, -1, 96).sum(2)
    close(dk, blocks, 1e-4)


def test_grouped_convolution_is_never_gathered_beyond_a_chunk():
    for groups, group_channels in [(32, 4), (12, 4), (7, 4), (32, 32), (1, 64)]:
        layer = GroupedConv2D(groups, 3, groups=groups)
        together = layer._groups_per_chunk(group_channels)
        assert groups % together == 0
        assert together == 1 or together * group_channels <= grouped_conv.CHUNK


def seconds_of_a_step(layer, x, rounds):
    """Median time of the gradients with respect to input and kernel, compiled before."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, [x, layer.kernel.value])

    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        [gradient.numpy() for gradient in step()]
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


@pytest.mark.skipif(grouped_conv._native(), reason="this device groups natively")
@pytest.mark.parametrize(
    "pictures, size, speedup",
    [(4, 14, 10), pytest.param(16, 28, 80, marks=pytest.mark.slow)],
)
def test_grouped_convolution_trains_faster(pictures, size, speedup):
    x = tf.constant(normal(pictures, size, size, 128))
    options = {"groups": 32, "padding": "same"}
    ours = seconds_of_a_step(GroupedConv2D(128, 3, **options), x, 9)
    native = seconds_of_a_step(keras.layers.Conv2D(128, 3, **options), x, 1)
    assert native / ours >= speedup


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_padded_shortcut(strides):
    expected = np.pad(X[:, ::strides, ::strides], ((0, 0), (0, 0), (0, 0), (0, 16)))
    np.testing.assert_array_equal(PaddedShortcut(48, strides)(X), expected)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inner_activation", [None, "relu"])
@pytest.mark.parametrize("gate", [None, *GATES.values()])
def test_residual_tail_is_norm_gate_add_relu(gate, inner_activation, training):
    layer = ResidualTail(gate and gate(), inner_activation=inner_activation)
    built(layer, [X.shape, X.shape])
    residual, shortcut = X, X[:, ::-1]
    y = batch_norm(residual, layer.norm, training).astype("float32")
    y = relu(y) if inner_activation else y
    if gate:
        y = layer.gate(y, training=training)  # the gates have tests of their own
    close(layer([residual, shortcut], training=training), relu(y + shortcut), 1e-4)


class Recorder(keras.layers.Layer):
    """A gate that remembers how it was called."""

    def call(self, inputs, training=None):
        self.training_argument = training
        return inputs


@pytest.mark.parametrize("training", [False, True])
def test_residual_tail_tells_its_gate_whether_it_trains(training):
    layer = ResidualTail(Recorder())
    layer([X, X], training=training)
    assert layer.gate.training_argument is training


BAD_ARGUMENTS = {
    "ratio 0": lambda: SqueezeExcite(ratio=0),
    "ratio 1.5": lambda: SqueezeExcite(ratio=1.5),
    "ratio as text": lambda: SqueezeExcite(ratio="16"),
    "ratio True": lambda: SqueezeExcite(ratio=True),
    "ratio None": lambda: ChannelAttention(ratio=None),
    "ratio above channels": lambda: SqueezeExcite(ratio=33)(X),
    "channel ratio above channels": lambda: ChannelAttention(ratio=33)(X),
    "cbam ratio": lambda: CBAM(ratio=-1),
    "divisor 0": lambda: SqueezeExcite(divisor=0),
    "unknown gate": lambda: SqueezeExcite(gate="softmax"),
    "unknown squeeze": lambda: SqueezeExcite(squeeze="sum"),
    "even kernel": lambda: SpatialAttention(kernel_size=4),
    "cbam even kernel": lambda: CBAM(kernel_size=6),
    "eca even kernel": lambda: EfficientChannelAttention(kernel_size=2),
    "ge extent of 2.0": lambda: GatherExcite(extent=2.0),
    "ge extent of False": lambda: GatherExcite(extent=False),
    "eca kernel 0": lambda: EfficientChannelAttention(kernel_size=0),
    "no part of cbam": lambda: CBAM(channel=False, spatial=False),
    "one branch": lambda: SelectiveKernelConv2D(32, branches=1),
    "filters over groups": lambda: SelectiveKernelConv2D(30, groups=4),
    "channels over groups": lambda: SelectiveKernelConv2D(30, groups=5)(X),
    "channels over branches": lambda: SelectiveKernelConv2D(32, 3, 4, split_input=True)(X),
    "strides 3": lambda: SelectiveKernelConv2D(32, strides=3),
    "ratio above filters": lambda: SelectiveKernelConv2D(32, ratio=64)(X),
    "even branch kernel": lambda: SelectiveKernelConv2D(32, kernel_sizes=(3, 4)),
    "kernel per branch": lambda: SelectiveKernelConv2D(32, kernel_sizes=(3, 5, 7)),
    "no kernels": lambda: SelectiveKernelConv2D(32, kernel_sizes=()),
    "one kernel": lambda: SelectiveKernelConv2D(32, kernel_sizes=3),
    "grouped filters": lambda: GroupedConv2D(30, 3, groups=4),
    "grouped channels": lambda: GroupedConv2D(30, 3, groups=5)(X),
    "fewer filters": lambda: PaddedShortcut(16)(X),
    "filters 0": lambda: PaddedShortcut(0),
    "shortcut of another shape": lambda: ResidualTail()([X, X[:, :1]]),
    "no shortcut": lambda: ResidualTail()(X),
    "gate by name": lambda: ResidualTail("se"),
}


@pytest.mark.parametrize("make", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_a_bad_argument_is_refused_with_what_was_received(make):
    with pytest.raises(ValueError, match="Received"):
        make()


def test_an_unknown_gate_lists_those_there_are():
    with pytest.raises(ValueError, match=r"Unknown gate 'softmax'; expected one of .*'sigmoid2'"):
        SqueezeExcite(gate="softmax")
