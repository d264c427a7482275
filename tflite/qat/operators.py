"""What an int8 file has no operator for, written out in those that it has.

Each function takes symbolic tensors and returns one; the layers that it makes are named after
what they stand for.
"""

import keras
import numpy as np

from ...lowering import add_layer
from .graph import apply_copy, copy_of

layers = keras.layers
_DTYPE = "float32"  # whatever the global policy
# The classes behind `a + b` and its like are private.
OPERATORS = {
    "Add": layers.Add,
    "Subtract": layers.Subtract,
    "Multiply": layers.Multiply,
    "Maximum": layers.Maximum,
    "Minimum": layers.Minimum,
}
DIVISIONS = ("Divide", "TrueDivide")


def affine(x, scale, offset, name: str, trainable: bool = False):
    """scale * x + offset, for each channel, as one depthwise 1x1 convolution."""
    channels = x.shape[-1]
    if len(x.shape) == 2:
        return _as_pixel(x, name, lambda pixel: affine(pixel, scale, offset, name, trainable))
    if len(x.shape) != 4:
        raise ValueError(
            f"{name!r} scales a tensor of shape {x.shape}; feature maps (b, h, w, c) and "
            "vectors (b, c) are quantized"
        )
    scale, offset = (_per_channel(values, channels, name) for values in (scale, offset))
    layer = layers.DepthwiseConv2D(1, name=name, trainable=trainable, dtype=_DTYPE)
    return add_layer(layer, x, [scale.reshape(1, 1, channels, 1), offset])


def normalization(layer, x, name: str):
    """(x - mean) / std, or inverted, x std + mean."""
    mean, variance = np.asarray(layer.mean), np.asarray(layer.variance)
    std = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return affine(x, std, mean, name) if layer.invert else affine(x, 1 / std, -mean / std, name)


def _per_channel(values, channels: int, name: str) -> np.ndarray:
    """A number for each channel, from one or from values (..., c) that differ along c alone."""
    values = np.asarray(values, "float32")
    if values.size != 1 and values.shape != (1,) * (values.ndim - 1) + (channels,):
        raise ValueError(
            f"{name!r} scales or shifts by values of shape {values.shape}; one number, or one for "
            f"each of the {channels} channels, is quantized"
        )
    return np.broadcast_to(values.reshape(-1), channels)


def permuted_channels(x, order, name: str):
    """`x[..., order]` as a constant 1x1 convolution."""
    kernel = np.eye(x.shape[-1], dtype="float32")[None, None, :, order]
    layer = layers.Conv2D(len(order), 1, use_bias=False, trainable=False, name=name, dtype=_DTYPE)
    return add_layer(layer, x, [kernel])


def _as_pixel(x, name: str, function):
    """Apply a function of feature maps to a vector (b, c)."""
    pixel = layers.Reshape((1, 1, x.shape[-1]), name=f"{name}_pixel", dtype=_DTYPE)(x)
    return layers.Reshape((x.shape[-1],), name=f"{name}_vector", dtype=_DTYPE)(function(pixel))


def separable(layer, x, name: str):
    """A separable convolution as its two, without its activation."""
    config = layer.get_config()
    depthwise, pointwise, *bias = layer.get_weights()
    geometry = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    first = layers.DepthwiseConv2D(
        **{key: config[key] for key in geometry},
        use_bias=False,
        name=f"{name}_depthwise",
        dtype=_DTYPE,
    )
    second = layers.Conv2D(layer.filters, 1, use_bias=layer.use_bias, name=name, dtype=_DTYPE)
    return add_layer(second, add_layer(first, x, [depthwise]), [pointwise, *bias])


def pairwise(layer, terms, name: str):
    """A sum or product of several terms, two at a time."""
    total, *rest = terms
    for index, term in enumerate(rest):
        last = index == len(rest) - 1
        total = copy_of(layer, name=name if last else f"{name}_{index}")([total, term])
    return total


def average(terms, name: str):
    """The mean of several terms: their sum, and a constant factor."""
    total = pairwise(layers.Add(name=f"{name}_sum", dtype=_DTYPE), terms, f"{name}_sum")
    return affine(total, 1 / len(terms), 0.0, name)


def operator(operation, kind: str, x1, x2):
    """`x1 + x2` and its like: of two tensors, or of a tensor and a constant for each channel."""
    symbolic = [keras.backend.is_keras_tensor(x) for x in (x1, x2)]
    if all(symbolic) and kind not in DIVISIONS:
        return OPERATORS[kind](name=operation.name, dtype=_DTYPE)([x1, x2])
    x, constant = (x1, x2) if symbolic[0] else (x2, x1)
    if all(symbolic):
        raise ValueError(f"{operation.name!r} ({kind} of two tensors) has no quantized form")
    if kind == "Multiply":
        return affine(x, constant, 0.0, operation.name)
    if kind == "Add":
        return affine(x, 1.0, constant, operation.name)
    if kind == "Subtract":
        sign = 1.0 if symbolic[0] else -1.0
        return affine(x, sign, -sign * np.asarray(constant), operation.name)
    if kind in DIVISIONS and symbolic[0]:
        return affine(x, 1 / np.asarray(constant, "float32"), 0.0, operation.name)
    raise ValueError(f"{operation.name!r} ({kind} with a constant) has no quantized form")


def activation(layer, x, name: str):
    """An activation of a few known kinds, swish and the hard functions written out."""
    if not isinstance(layer, layers.Activation):
        return apply_copy(layer, x, name=name)
    function = layer.activation
    if function is keras.activations.linear:
        return x
    if function is keras.activations.relu6:
        return layers.ReLU(6.0, name=name, dtype=_DTYPE)(x)
    if function is keras.activations.hard_sigmoid:
        return _hard_sigmoid(x, name)
    if function in (keras.activations.silu, keras.activations.hard_silu):
        if function is keras.activations.silu:
            gate = layers.Activation("sigmoid", name=f"{name}_gate", dtype=_DTYPE)(x)
        else:
            gate = _hard_sigmoid(x, f"{name}_gate")
        return layers.Multiply(name=name, dtype=_DTYPE)([x, gate])
    return layers.Activation(function, name=name, dtype=_DTYPE)(x)


def _hard_sigmoid(x, name: str):
    """relu6(x + 3) / 6."""
    if len(x.shape) == 2:  # one reshaping for all, or the ReLU could not fuse
        return _as_pixel(x, name, lambda pixel: _hard_sigmoid(pixel, name))
    shifted = affine(x, 1.0, 3.0, f"{name}_shift")
    clipped = layers.ReLU(6.0, name=f"{name}_relu6", dtype=_DTYPE)(shifted)
    return affine(clipped, 1 / 6, 0.0, name)
