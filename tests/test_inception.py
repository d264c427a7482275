"""The Inception networks: what the table cannot say about them."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_se.applications import (
    BNInception,
    SEBNInception,
    SEInceptionResNetV2,
    SEInceptionV3,
    bn_inception,
    inception_v3,
)
from keras_se.applications.blocks.branches import BranchedSpec, Conv, Fork, Pool, Residual, gated
from keras_se.layers import GATES, SqueezeExcite

SMALL = {"weights": None, "input_shape": (32, 32, 3), "classes": 5}
TINY = BranchedSpec(
    "Tiny",
    (
        ("stem", Conv(32, 3, 2, "pad")),
        *gated({"mixed": Fork(((Conv(16),), (Conv(8), Conv(16, (1, 3))), (Pool("avg"),)))}),
        ("residual", Residual(((Conv(8),), (Conv(8, (3, 1)),)), 0.5)),
    ),
    attention="se",
    norm={"epsilon": 1e-3},
)


def tiny(attention):
    inputs = keras.Input((16, 16, 3))
    spec = TINY
    if attention != "default":
        spec = replace(TINY, attention=attention, attention_options={})
    return keras.Model(inputs, spec.trunk(inputs))


def images(shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def gates(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, SqueezeExcite)]


@pytest.mark.parametrize("gate", GATES)
def test_every_gate_fits_modules_and_residuals(gate):
    model = tiny(gate)
    assert np.isfinite(model(images((1, 16, 16, 3)))).all()
    added = [layer.name for layer in model.layers if isinstance(layer, GATES[gate])]
    assert added == ["mixed_gate", "residual_gate"]


def test_residual_is_gated_before_it_is_scaled_and_added():
    model = tiny("default")
    get = {layer.name: layer for layer in model.layers}.__getitem__
    probes = [get(n).output for n in ("mixed_gate", "residual_conv", "residual_gate", "residual")]
    x, residual, gated_residual, y = (
        np.asarray(t) for t in keras.Model(model.input, probes)(images((1, 16, 16, 3)))
    )
    excitation = np.asarray(get("residual_gate").excite(residual))
    np.testing.assert_allclose(gated_residual, residual * excitation, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, np.maximum(x + 0.5 * gated_residual, 0), rtol=1e-5, atol=1e-6)


def test_gates_of_the_authors_se_bn_inception():
    model = SEBNInception(**SMALL)
    widths = [(gate.expand.units, gate.reduce.units) for gate in gates(model)]
    channels = (256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024)
    assert widths == [(c, c // 16) for c in channels]
    assert all(gate.use_bias for gate in gates(model))
    assert SEBNInception(weights=None).count_params() == 11_951_654


@pytest.mark.parametrize("size", [224, 225, 240, 33, 32])
def test_bn_inception_rounds_sizes_up_as_caffe_does(size):
    def pooled(size):  # 3x3, stride 2, no padding, rounded up
        return -(-(size - 3) // 2) + 1

    first = (size + 1) // 2
    third = pooled(pooled(first))
    expected = [first, pooled(first), third, (third + 1) // 2, ((third + 1) // 2 + 1) // 2]
    trunk = BNInception(weights=None, include_top=False, input_shape=(size, size, 3))
    names = ("stem1_conv", "stem2_pool", "stem5_pool", "inception_3c", "inception_4e")
    assert [trunk.get_layer(name).output.shape[1] for name in names] == expected


def test_bn_inception_averages_count_the_zeros_around_a_map():
    inputs = keras.Input((4, 4, 1))
    pool = bn_inception._BLOCKS["inception_3a"].branches[-1][0]
    y = keras.Model(inputs, pool.apply(inputs, "pool", None))(np.ones((1, 4, 4, 1), "float32"))
    np.testing.assert_allclose(np.asarray(y)[0, 0, :, 0] * 9, [4, 6, 6, 4], rtol=1e-6)


@pytest.mark.parametrize("network", [SEInceptionV3, SEInceptionResNetV2])
@pytest.mark.parametrize("shape", [(74, 75, 3), (75, 74, 3), (32, 32, 3)])
def test_too_small_pictures_are_refused(network, shape):
    with pytest.raises(ValueError, match=r"at least 75.*Received: input_shape=\("):
        network(weights=None, input_shape=shape)
    assert "at least 75" in network.__doc__


def test_75_is_the_smallest_picture_of_inception():
    spec = inception_v3.SPECS["SEInceptionV3"]
    assert spec.trunk(keras.Input((75, 75, 3))).shape == (None, 1, 1, 2048)
    with pytest.raises(ValueError):
        spec.trunk(keras.Input((74, 74, 3)))


def test_inception_pixels():
    model = SEInceptionV3(weights=None, include_top=False, pooling="avg")
    pixels = np.array([[[[0, 127.5, 255]]]], "float32")
    np.testing.assert_allclose(model.preprocess(pixels), [[[[-1, 0, 1]]]], atol=1e-6)
    assert model.output_shape == (None, 2048)


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"stages": (3,)}, "stages=(3,)"),
        ({"placement": "pre"}, "placement='pre'"),
        ({"conv": "sk"}, "conv='sk'"),
        ({"output_stride": 16}, "output_stride=16"),
        ({"gate": "softmax"}, "gate='softmax'"),
        ({"gate": "tanh", "attention": None}, "gate='tanh'"),
    ],
)
def test_choices_that_inception_does_not_offer(arguments, received):
    with pytest.raises(ValueError) as error:
        SEBNInception(weights=None, **arguments)
    assert received in str(error.value)


def test_gate_function():
    model = SEBNInception(**SMALL, gate="hard_sigmoid", ratio=8)
    assert {(gate.gate, gate.ratio) for gate in gates(model)} == {("hard_sigmoid", 8)}
