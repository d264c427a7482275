"""Split a lowered model into the operators that an int8 file has."""

import keras
import numpy as np

from ...lowering import add_layer
from .graph import Node, apply_copy, copy_of, trace

layers = keras.layers
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
_ACTIVATED = (*_CONVOLUTIONS, layers.Dense, layers.SeparableConv2D)
_DTYPE = "float32"  # whatever the global policy
# The classes behind `a + b` and its like are private.
_OPERATORS = {
    "Add": layers.Add,
    "Subtract": layers.Subtract,
    "Multiply": layers.Multiply,
    "Maximum": layers.Maximum,
    "Minimum": layers.Minimum,
}


def canonical(lowered: keras.Model) -> keras.Model:
    """Rebuild a lowered model so that every layer is one int8 operator, or folds into one.

    - Activations stand apart from the layers that carried them; swish and the hard functions
      are written out, because an int8 file has no such operators.
    - A separable convolution becomes its two convolutions.
    - BatchNorm stays where a convolution precedes it, and folds there at conversion. Elsewhere
      it becomes a depthwise 1x1 convolution, with frozen statistics. So do `Rescaling`,
      `Normalization`, `x * 2.0` and `x + 3.0`, which stay constants.
    - Sums and products have two terms.

    Args:
        lowered: result of `lower`, with an open batch.

    Returns:
        An equal functional model, layers and weights of its own.
    """
    nodes = iter(trace(lowered)[1:])
    tensor = lowered.inputs[0]
    inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    rewrite = _Rewrite()
    outputs = lowered._run_through_graph(
        inputs, call_fn=lambda *args, **kwargs: rewrite.call(next(nodes), *args, **kwargs)
    )
    return keras.Model(inputs, keras.tree.flatten(outputs)[0], name=lowered.name)


class _Rewrite:
    """One walk over a lowered model; each method returns the symbolic output."""

    def __init__(self):
        self.copies = {}  # of layers, so that a shared layer stays shared

    def call(self, node: Node, operation, *args, **kwargs):
        kind = type(operation).__name__
        if isinstance(operation, layers.SeparableConv2D):
            x = _separable(operation, args[0])
        elif isinstance(operation, layers.BatchNormalization):
            return self.batch_norm(node, operation, args[0])
        elif isinstance(operation, layers.Rescaling):
            return _affine(args[0], operation.scale, operation.offset, operation.name)
        elif isinstance(operation, layers.Normalization):
            std = np.sqrt(np.maximum(operation.variance, keras.config.epsilon())).reshape(-1)
            mean = np.reshape(operation.mean, -1)
            return _affine(args[0], 1 / std, -mean / std, operation.name)
        elif isinstance(operation, (layers.Add, layers.Multiply)) and len(args[0]) > 2:
            return _pairwise(operation, args[0])
        elif not isinstance(operation, keras.Layer) and kind in _OPERATORS:
            return _operator(operation, kind, *args, **kwargs)
        elif isinstance(operation, (layers.Activation, layers.ReLU, layers.Softmax)):
            return _activation(operation, args[0], operation.name)
        else:
            x = self.copy(operation, *args, **kwargs)
        if isinstance(operation, _ACTIVATED):
            return _activation_of(operation, x)
        return x

    def copy(self, operation, *args, **kwargs):
        if id(operation) in self.copies:
            return self.copies[id(operation)](*args, **kwargs)
        changes = {"activation": None} if isinstance(operation, _ACTIVATED) else {}
        copy = self.copies[id(operation)] = copy_of(operation, **changes)
        outputs = copy(*args, **kwargs)
        if isinstance(operation, keras.Layer):
            copy.set_weights(operation.get_weights())
        return outputs

    def batch_norm(self, node: Node, operation, x):
        producer = node.inputs[0]
        linear = producer.is_a(*_CONVOLUTIONS, layers.SeparableConv2D) and (
            producer.operation.activation is keras.activations.linear
        )
        if linear and producer.sole_user() is node:
            return self.copy(operation, x)
        gamma = operation.gamma if operation.scale else 1.0
        beta = operation.beta if operation.center else 0.0
        scale = gamma / np.sqrt(np.asarray(operation.moving_variance) + operation.epsilon)
        offset = beta - np.asarray(operation.moving_mean) * scale
        return _affine(x, scale, offset, operation.name, trainable=operation.trainable)


def _affine(x, scale, offset, name: str, trainable: bool = False):
    """scale * x + offset, for each channel, as one depthwise 1x1 convolution."""
    channels = x.shape[-1]
    if len(x.shape) == 2:
        return _as_pixel(x, name, lambda pixel: _affine(pixel, scale, offset, name, trainable))
    if len(x.shape) != 4:
        raise ValueError(
            f"{name!r} scales a tensor of shape {x.shape}; feature maps (b, h, w, c) and "
            "vectors (b, c) are quantized"
        )
    scale = np.broadcast_to(np.asarray(scale, "float32"), channels)
    offset = np.broadcast_to(np.asarray(offset, "float32"), channels)
    layer = layers.DepthwiseConv2D(1, name=name, trainable=trainable, dtype=_DTYPE)
    return add_layer(layer, x, [scale.reshape(1, 1, channels, 1), offset])


def _as_pixel(x, name: str, function):
    """Apply a function of feature maps to a vector (b, c)."""
    pixel = layers.Reshape((1, 1, x.shape[-1]), name=f"{name}_pixel", dtype=_DTYPE)(x)
    return layers.Reshape((x.shape[-1],), name=f"{name}_vector", dtype=_DTYPE)(function(pixel))


def _separable(layer, x):
    config = layer.get_config()
    depthwise, pointwise, *bias = layer.get_weights()
    geometry = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    first = layers.DepthwiseConv2D(
        **{key: config[key] for key in geometry},
        use_bias=False,
        name=f"{layer.name}_depthwise",
        dtype=_DTYPE,
    )
    second = layers.Conv2D(layer.filters, 1, use_bias=layer.use_bias, name=layer.name, dtype=_DTYPE)
    return add_layer(second, add_layer(first, x, [depthwise]), [pointwise, *bias])


def _pairwise(layer, terms):
    total, *rest = terms
    for index, term in enumerate(rest):
        last = index == len(rest) - 1
        total = copy_of(layer, name=layer.name if last else f"{layer.name}_{index}")([total, term])
    return total


def _operator(operation, kind: str, x1, x2):
    symbolic = [keras.backend.is_keras_tensor(x) for x in (x1, x2)]
    if all(symbolic):
        return _OPERATORS[kind](name=operation.name, dtype=_DTYPE)([x1, x2])
    x, constant = (x1, x2) if symbolic[0] else (x2, x1)
    if kind == "Multiply":
        return _affine(x, constant, 0.0, operation.name)
    if kind == "Add":
        return _affine(x, 1.0, constant, operation.name)
    if kind == "Subtract":
        sign = 1.0 if symbolic[0] else -1.0
        return _affine(x, sign, -sign * np.asarray(constant), operation.name)
    raise ValueError(f"{operation.name!r} ({kind} with a constant) has no quantized form")


def _activation_of(layer, x):
    if layer.activation is keras.activations.linear:
        return x
    return _activation(layers.Activation(layer.activation), x, f"{layer.name}_activation")


def _activation(layer, x, name: str):
    """An activation of a few known kinds, swish and the hard functions written out."""
    if not isinstance(layer, layers.Activation):
        return apply_copy(layer, x)
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
    shifted = _affine(x, 1.0, 3.0, f"{name}_shift")
    clipped = layers.ReLU(6.0, name=f"{name}_relu6", dtype=_DTYPE)(shifted)
    return _affine(clipped, 1 / 6, 0.0, name)
