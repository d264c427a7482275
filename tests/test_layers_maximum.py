"""The maximum of a feature map in gates: its gradient, whatever a compiler rounds anew."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_se.layers import _common
from keras_se.layers._common import largest

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.GradientTape")


def gradient(function, x, **options):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x, **options)
        loss = ops.sum(ops.cast(y, "float32") ** 2)
    return y.numpy(), tape.gradient(loss, x).numpy().astype("float32")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("axis", "keepdims"), [((1, 2), False), (-1, True)])
def test_it_is_the_maximum_and_equal_values_share_the_gradient(dtype, axis, keepdims):
    x = np.random.default_rng(0).permutation(2 * 3 * 3 * 4).reshape(2, 3, 3, 4) / 8 - 4
    x[0, :2] = 7.0  # several are largest
    x[1, ..., 2] = 0.0  # a dead channel
    x = tf.cast(x, dtype)
    plain, expected = gradient(ops.max, x, axis=axis, keepdims=keepdims)
    found, shared = gradient(largest, x, axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(found, plain)
    np.testing.assert_allclose(shared, expected, rtol=1e-2 if "16" in dtype else 1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_maximum_that_was_rounded_up_has_a_gradient(dtype, monkeypatch):
    """As XLA may do it, which computes the map anew for the backward pass."""
    x = tf.cast(np.random.default_rng(0).normal(size=(2, 3, 3, 4)), dtype)
    rounding = float(ops.cast(_common._ROUNDING[dtype], dtype)) / 2
    _, expected = gradient(largest, x, axis=(1, 2))
    real = ops.max

    def above(x, **options):
        found = real(x, **options)
        return found + rounding * ops.abs(found)

    monkeypatch.setattr(ops, "max", above)
    _, found = gradient(largest, x, axis=(1, 2))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found != 0, expected != 0)
