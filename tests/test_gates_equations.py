"""The further gates against their papers' equations, written in NumPy."""

import keras
import numpy as np
import pytest

from keras_se.layers import (
    BAM,
    ConcurrentSqueezeExcite,
    CoordinateAttention,
    EffectiveSqueezeExcite,
    GatherExcite,
    GlobalContext,
    SpatialSqueezeExcite,
)
from keras_se.lowering import lower_layer

X = np.random.default_rng(0).normal(size=(2, 10, 7, 32)).astype("float32")
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def randomised(layer, shape=X.shape):
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) if positive else _normal(rng, weight))
    return layer


def _normal(rng, weight):
    return rng.normal(scale=0.3, size=weight.shape)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def batch_norm(x, norm, training=False):
    gamma, beta, mean, variance = norm.get_weights()
    if training:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def pointwise(x, layer):
    kernel, *bias = layer.get_weights()
    return x @ kernel.reshape(kernel.shape[-2:]) + sum(bias)


def windows(x, size, stride, dilation=1):
    """Yield (i, j, pixels under tap i, j) of a convolution with centred windows."""
    margin = dilation * (size - 1) // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    for i, j in np.ndindex(size, size):
        taps = padded[:, i * dilation :, j * dilation :][:, : x.shape[1], : x.shape[2]]
        yield i, j, taps[:, ::stride, ::stride]


def test_spatial_squeeze_excite():
    layer = randomised(SpatialSqueezeExcite())
    np.testing.assert_allclose(layer(X), X * sigmoid(pointwise(X, layer.squeeze)), **CLOSE)


@pytest.mark.parametrize("combine, function", [("add", np.add), ("max", np.maximum)])
def test_concurrent_squeeze_excite(combine, function):
    layer = randomised(ConcurrentSqueezeExcite(combine=combine))
    hidden = relu(pointwise(X.mean((1, 2), keepdims=True), layer.channel.reduce))
    assert hidden.shape[-1] == 16  # the paper's ratio of 2
    by_channel = X * sigmoid(pointwise(hidden, layer.channel.expand))
    by_pixel = X * sigmoid(pointwise(X, layer.spatial.squeeze))
    np.testing.assert_allclose(layer(X), function(by_channel, by_pixel), **CLOSE)


def test_effective_squeeze_excite():
    layer = randomised(EffectiveSqueezeExcite())
    z = pointwise(X.mean((1, 2), keepdims=True), layer.dense)
    np.testing.assert_allclose(layer(X), X * np.clip(z + 3, 0, 6) / 6, **CLOSE)
    assert layer.excite(X).shape == (2, 1, 1, 32)


def nearest(z, shape):
    """Row i of n comes from row floor(i m / n) of m."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape[1:3], z.shape[1:3], strict=True))
    return z[:, rows][:, :, columns]


@pytest.mark.parametrize("extent", [2, 4, 8])
def test_gather_excite_without_parameters(extent):
    total, count = 0, 0
    for _, _, taps in windows(X, 2 * extent - 1, extent):
        total = total + taps
    for _, _, taps in windows(np.ones_like(X), 2 * extent - 1, extent):
        count = count + taps
    layer = randomised(GatherExcite(extent, "theta-"))
    assert not layer.weights
    assert total.shape[1:3] == (-(-10 // extent), -(-7 // extent))
    expected = X * sigmoid(nearest(total / count, X.shape))
    np.testing.assert_allclose(layer(X), expected, **CLOSE)


def test_gather_excite_computes_in_its_own_dtype():
    x = X.astype("float64")
    total = sum(taps for _, _, taps in windows(x, 3, 2))
    count = sum(taps for _, _, taps in windows(np.ones_like(x), 3, 2))
    expected = x * sigmoid(nearest(total / count, x.shape))
    result = GatherExcite(2, "theta-", dtype="float64")(x)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("variant", ["theta", "theta+"])
@pytest.mark.parametrize("extent", [2, 4, 8])
def test_gather_excite(extent, variant):
    layer = randomised(GatherExcite(extent, variant))
    z = X
    assert 2 ** len(layer.convs) == extent
    for i, (conv, norm) in enumerate(zip(layer.convs, layer.norms, strict=True)):
        kernel = conv.get_weights()[0][..., 0]
        z = relu(z) if i else z
        z = batch_norm(sum(taps * kernel[i, j] for i, j, taps in windows(z, 3, 2)), norm)
    if variant == "theta+":
        z = pointwise(relu(pointwise(relu(z), layer.reduce)), layer.expand)
    expected = X * sigmoid(nearest(z, X.shape))
    np.testing.assert_allclose(layer(X, training=False), expected, **CLOSE)


@pytest.mark.parametrize("variant", ["theta-", "theta", "theta+"])
def test_gather_excite_of_the_whole_map(variant):
    layer = randomised(GatherExcite(0, variant))
    z = X.mean((1, 2), keepdims=True)
    if variant != "theta-":
        kernel = layer.convs[0].get_weights()[0][..., 0]
        assert kernel.shape == X.shape[1:]
        z = batch_norm((X * kernel).sum((1, 2), keepdims=True), layer.norms[0])
    if variant == "theta+":
        z = pointwise(relu(pointwise(relu(z), layer.reduce)), layer.expand)
    np.testing.assert_allclose(layer(X, training=False), X * sigmoid(z), **CLOSE)
    assert layer.attend(X).shape == (2, 1, 1, 32)


def test_global_context():
    layer = randomised(GlobalContext(ratio=4))
    e = np.exp(pointwise(X, layer.mask))
    z = (X * e).sum((1, 2)) / e.sum((1, 2))
    t = pointwise(z, layer.reduce)
    gamma, beta = layer.norm.get_weights()
    centred = t - t.mean(-1, keepdims=True)
    t = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gamma + beta
    expected = X + pointwise(relu(t), layer.expand)[:, None, None]
    np.testing.assert_allclose(layer(X), expected, **CLOSE)


def test_global_context_starts_as_the_identity():
    np.testing.assert_array_equal(GlobalContext()(X), X)


@pytest.mark.parametrize("channels, width", [(16, 8), (256, 16)])
def test_global_context_keeps_enough_width_for_its_norm(channels, width):
    layer = GlobalContext()
    layer.build((None, 4, 4, channels))
    assert layer.reduce.units == width


@pytest.mark.parametrize("training", [False, True])
def test_coordinate_attention(training):
    """In training, the statistics of the shared BatchNorm are those of rows and columns."""
    layer = randomised(CoordinateAttention())
    pooled = np.concatenate([X.mean(2), X.mean(1)], 1)[:, :, None]  # (b, h + w, 1, c)
    f = batch_norm(pointwise(pooled, layer.reduce), layer.norm, training)
    f = f * np.clip(f + 3, 0, 6) / 6
    rows = sigmoid(pointwise(f[:, :10], layer.rows))  # (b, h, 1, c)
    columns = sigmoid(pointwise(f[:, 10:], layer.columns)).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(layer(X, training=training), X * rows * columns, **CLOSE)


@pytest.mark.parametrize("channels, width", [(16, 8), (512, 16)])
def test_coordinate_attention_width(channels, width):
    layer = CoordinateAttention()
    layer.build((None, 4, 4, channels))
    assert layer.reduce.filters == width


@pytest.mark.parametrize("combine, function", [("sum", np.add), ("product", np.multiply)])
def test_bam(combine, function):
    layer = randomised(BAM(ratio=4, combine=combine))
    logits = []
    for x, branch in ((X.mean((1, 2), keepdims=True), layer.channel), (X, layer.spatial)):
        for part in branch:
            if isinstance(part, keras.layers.BatchNormalization):
                x = batch_norm(x, part)
            elif isinstance(part, keras.layers.ReLU):
                x = relu(x)
            elif part.kernel_size == (3, 3):
                kernel = part.get_weights()[0]
                x = sum(taps @ kernel[i, j] for i, j, taps in windows(x, 3, 1, dilation=4))
            else:
                x = pointwise(x, part)
        logits.append(x)
    expected = X * (1 + sigmoid(function(*logits)))
    np.testing.assert_allclose(layer(X, training=False), expected, **CLOSE)


def test_bam_branches_are_the_papers():
    """Two hidden 3x3 convolutions; a BatchNorm ends each branch of the sum."""
    kinds = {"Conv2D": "C", "BatchNormalization": "B", "ReLU": "R"}
    for combine, ends in (("sum", "CB"), ("product", "C")):
        layer = randomised(BAM(combine=combine))
        assert "".join(kinds[type(p).__name__] for p in layer.channel) == "CBR" + ends
        assert "".join(kinds[type(p).__name__] for p in layer.spatial) == "CBR" * 3 + ends


@pytest.mark.parametrize(
    "layer, size",
    [(GatherExcite(e, v), s) for e in (0, 2, 8) for v in ("theta-", "theta+") for s in (1, 5, 16)]
    + [(ConcurrentSqueezeExcite(combine="max"), 5), (BAM(combine="product"), 3)]
    + [(CoordinateAttention(activation="relu"), 5), (EffectiveSqueezeExcite("sigmoid"), 5)],
)
def test_options_lower_exactly(layer, size):
    shape = (2, size, size + 1, 32)
    x = np.random.default_rng(3).normal(size=shape).astype("float32")
    randomised(layer, shape)
    inputs = keras.Input(shape[1:])
    lowered = keras.Model(inputs, lower_layer(layer, inputs, "lowered"))
    np.testing.assert_allclose(lowered(x), layer(x, training=False), **CLOSE)


@pytest.mark.parametrize("gate", [GatherExcite, CoordinateAttention])
def test_lowering_needs_an_image_size(gate):
    inputs = keras.Input((None, None, 32))
    with pytest.raises(ValueError, match=r"fixed image size\. Received: shape=\(None, None"):
        randomised(gate()).lower(inputs, "lowered")


@pytest.mark.parametrize(
    "layer, argument, value",
    [
        (SpatialSqueezeExcite, "gate", "softmax"),
        (ConcurrentSqueezeExcite, "combine", "product"),
        (ConcurrentSqueezeExcite, "ratio", 0),
        (EffectiveSqueezeExcite, "gate", "softmax"),
        (GatherExcite, "extent", 3),
        (GatherExcite, "variant", "theta--"),
        (GatherExcite, "ratio", 0),
        (GlobalContext, "ratio", 1.5),
        (GlobalContext, "min_width", 1),
        (CoordinateAttention, "ratio", 0),
        (CoordinateAttention, "gate", "softmax"),
        (BAM, "combine", "max"),
        (BAM, "dilation", 0),
        (BAM, "ratio", True),
    ],
)
def test_bad_arguments(layer, argument, value):
    with pytest.raises(ValueError, match=rf"Received: {argument}={value!r}"):
        layer(**{argument: value})


@pytest.mark.parametrize(
    "gate", [ConcurrentSqueezeExcite(64), GatherExcite(2, "theta+", 64), GlobalContext(64), BAM(64)]
)
def test_a_ratio_beyond_the_channels_is_refused(gate):
    with pytest.raises(ValueError, match=r"Received: ratio=64, channels=32"):
        gate.build(X.shape)


def test_a_global_depthwise_convolution_needs_an_image_size():
    with pytest.raises(ValueError, match=r"fixed image size.*Received.*variant='theta'"):
        GatherExcite(0).build((None, None, None, 32))
    assert GatherExcite(0, "theta-")(keras.Input((None, None, 32))).shape[-1] == 32
