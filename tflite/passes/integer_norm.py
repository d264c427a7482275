"""Normalisations over a picture's own values, in operators that integers have."""

import keras
import numpy as np
from keras import ops

layers = keras.layers


class Standardize(keras.layers.Layer):
    """(x - mean) / sqrt(variance + epsilon), or x / sqrt(mean square + epsilon).

    Args:
        axes: over which the mean and the variance are taken.
        epsilon: added to the variance.
        groups: of channels, each with a mean and a variance over a feature map; 0 without.
        centre: whether the mean is subtracted.
    """

    def __init__(self, axes, epsilon: float, groups: int = 0, centre: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.axes, self.epsilon = tuple(axes), epsilon
        self.groups, self.centre = groups, centre

    def call(self, inputs):
        import tensorflow as tf

        x = inputs
        if self.groups:  # (1, h, w, c) -> (1, h w, g, c / g)
            batch, height, width, channels = inputs.shape
            x = ops.reshape(x, (batch, height * width, self.groups, channels // self.groups))
        mean = ops.mean(x, self.axes, keepdims=True) if self.centre else np.zeros(1, "float32")
        # Not a square, which integers lack: x * x would become one.
        square = ops.mean(tf.math.squared_difference(x, mean), self.axes, keepdims=True)
        x = (x - mean if self.centre else x) * ops.rsqrt(square + self.epsilon)
        return ops.reshape(x, inputs.shape) if self.groups else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = ("axes", "epsilon", "groups", "centre")
        return super().get_config() | {name: getattr(self, name) for name in own}


class UnitVector(keras.layers.Layer):
    """x / |x| over the last axis, as the one operator L2_NORMALIZATION."""

    def call(self, inputs):
        import tensorflow as tf

        return tf.math.l2_normalize(inputs, -1)

    def compute_output_shape(self, input_shape):
        return input_shape


def integer_norm(operation, graph, lowering, recipe):
    """Write layer, group, RMS and unit normalisation for integers.

    Keras computes the first two as x k + (-mean k) and the others by a square: TensorFlow's
    quantizer (2.21) has neither negation nor square. The difference is taken first here, and the
    variance from squared differences.
    """
    if recipe.activations == "float32":
        return None
    source = _parts(operation)
    if source is None:
        return None
    standard, scale, offset = source

    def build(new):
        x = new(operation.input)
        if scale is None and offset is None:
            return standard(operation.name)(x)
        x = standard(f"{operation.name}_standard")(x)
        values = 1.0 if scale is None else scale, 0.0 if offset is None else offset
        return layers.Rescaling(*values, name=operation.name, dtype="float32")(x)

    return build


def _parts(operation):
    """(name -> layer that standardises, scale, offset) of a normalisation; None for others."""
    kind, x = type(operation), getattr(operation, "input", None)
    if x is None:
        return None
    # The class of keras.ops is private; a layer of the user's may have its name.
    normalize = kind.__name__ == "Normalize" and not isinstance(operation, keras.Layer)
    if kind is layers.UnitNormalization or normalize:
        last = _axes(operation.axis, x) == (len(x.shape) - 1,)
        if not last or getattr(operation, "order", 2) != 2:
            return None
        return lambda name: UnitVector(name=name, dtype="float32"), None, None
    if kind is layers.GroupNormalization and _axes(operation.axis, x) == (3,):
        return _standardize((1, 3), operation, groups=operation.groups)
    if kind is layers.RMSNormalization and _trailing(operation.axis, x):
        return _standardize(_axes(operation.axis, x), operation, centre=False)
    if kind is layers.LayerNormalization and _trailing(operation.axis, x):
        return None if operation.rms_scaling else _standardize(_axes(operation.axis, x), operation)
    return None


def _standardize(axes, operation, **options):
    def layer(name):
        return Standardize(axes, operation.epsilon, **options, name=name, dtype="float32")

    values = [getattr(operation, name, None) for name in ("gamma", "beta", "scale")]
    gamma, beta, scale = (
        None if v is None or isinstance(v, bool) else np.asarray(v) for v in values
    )
    return layer, scale if gamma is None else gamma, beta


def _axes(axis, x) -> tuple[int, ...]:
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    return tuple(sorted(each % len(x.shape) for each in axes))


def _trailing(axis, x) -> bool:
    """Whether these are the last axes, so that the weights need no other shape."""
    axes = _axes(axis, x)
    return axes == tuple(range(len(x.shape) - len(axes), len(x.shape)))
