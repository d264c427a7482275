"""Where a constant gate goes: into the weights of a neighbour, or into a scaling of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from ..graph import calls_of, makers, readers, sole_reader
from .gate_values import Constant
from .presets import is_relu

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
# f(s x) = s f(x) for s >= 0, channel by channel.
HOMOGENEOUS = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.LeakyReLU,
    keras.layers.MaxPooling2D,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)
Weights = list[np.ndarray]


@dataclass(frozen=True)
class Fold:
    """What takes a constant gate up.

    Attributes:
        into: the layer, in words: "batch normalisation 'bn1'".
        layer: the layer of the original whose weights change; None if the gate was the
            identity, or where `scaling` takes its place.
        change: its weights without the gate -> with it.
        scaling: whether nothing takes it up, so that a `Rescaling` stays.
    """

    into: str
    layer: keras.Layer | None = None
    change: Callable[[Weights], Weights] | None = None
    scaling: bool = False


def find_fold(model, node, constant: Constant) -> Fold:
    """The place for a constant gate: before it if possible, else behind it, else where it is."""
    if constant.is_identity:
        return Fold("nothing: it was the identity")
    return (
        _before(model, node, constant)
        or _behind(model, node, constant)
        or Fold("a scaling in its place", scaling=True)
    )


def rescaling(constant: Constant, name: str, dtype) -> keras.Layer:
    """One multiplication and one addition by channel."""
    return keras.layers.Rescaling(
        constant.scale.tolist(), constant.shift.tolist(), name=name, dtype=dtype
    )


def scale_norm(constant: Constant) -> Callable[[Weights], Weights]:
    """BatchNorm's gamma and beta with the gate."""

    def change(weights):
        gamma, beta, *statistics = weights
        return [gamma * constant.scale, beta * constant.scale + constant.shift, *statistics]

    return change


def _before(model, node, constant) -> Fold | None:
    """Through layers that a scaling passes, to the BatchNorm or convolution before the gate."""
    reading, maker_of = readers(model), makers(model)
    movable = not np.any(constant.shift) and np.all(constant.scale >= 0)
    while True:
        if len(node.input_tensors) != 1 or len(reading[id(node.input_tensors[0])]) != 1:
            return None
        node = maker_of[id(node.input_tensors[0])]
        layer = node.operation
        if len(calls_of(model, layer)) == 1:
            fold = _into(layer, constant)
            if fold is not None:
                return fold
        if not (movable and _is_homogeneous(layer)):
            return None


def _into(layer, constant) -> Fold | None:
    if isinstance(layer, keras.layers.BatchNormalization):
        if layer.axis in (-1, 3) and layer.scale and layer.center:
            into = f"batch normalisation '{layer.name}'"
            return Fold(into, layer, scale_norm(constant))
        return None
    linear = getattr(layer, "activation", None) is keras.activations.linear
    if not isinstance(layer, CONVOLUTIONS) or not linear or layer.data_format != "channels_last":
        return None
    if np.any(constant.shift) and not layer.use_bias:
        return None

    def change(weights):
        kernel, *bias = weights
        by_channel = constant.scale
        if isinstance(layer, keras.layers.DepthwiseConv2D):  # (h, w, c, multiplier)
            by_channel = by_channel.reshape(kernel.shape[2:])
        return [kernel * by_channel, *(b * constant.scale + constant.shift for b in bias)]

    return Fold(f"convolution '{layer.name}'", layer, change)


def _behind(model, node, constant) -> Fold | None:
    """Into the input channels of the one convolution that reads the gate's output."""
    if np.any(constant.shift):
        return None  # at the border "same" padding would see zeros instead
    following = sole_reader(node, readers(model))
    if following is None:
        return None
    layer = following.operation
    if not isinstance(layer, keras.layers.Conv2D) or layer.groups != 1:
        return None
    if layer.data_format != "channels_last" or len(calls_of(model, layer)) != 1:
        return None

    def change(weights):
        kernel, *bias = weights  # (h, w, c, filters)
        return [kernel * constant.scale[:, None], *bias]

    return Fold(f"convolution '{layer.name}' behind it", layer, change)


def _is_homogeneous(layer) -> bool:
    if is_relu(layer):
        return layer.max_value is None and not layer.threshold
    if isinstance(layer, keras.layers.Activation):
        return layer.activation in (keras.activations.relu, keras.activations.linear)
    return isinstance(layer, HOMOGENEOUS) or type(layer).__name__ == "Relu"  # keras.ops.relu
