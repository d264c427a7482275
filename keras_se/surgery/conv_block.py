"""Convolution, BatchNorm and ReLU in a row: what a selective kernel can take over, exactly."""

from dataclasses import dataclass
from typing import Any

import keras

from ..graph import calls_of, makers, readers, sole_reader
from .places import Place
from .presets import is_activation, is_relu


@dataclass(frozen=True, eq=False)
class ConvBlock:
    """A 3x3 convolution with what surrounds it, as calls in a model.

    Attributes:
        path: the convolution in the model.
        conv: its call.
        norm: the call of the BatchNorm that it alone feeds.
        activation: the call of the ReLU behind that; None where there is none.
        padding: the call of the zero padding before the convolution, or None.
    """

    path: str
    conv: Any  # nodes of Keras' graph
    norm: Any
    activation: Any | None
    padding: Any | None

    @property
    def around(self) -> list:
        """The calls besides the convolution's own."""
        return [n for n in (self.padding, self.norm, self.activation) if n is not None]


def conv_block(place: Place) -> ConvBlock:
    """What a selective kernel at this place takes over.

    Raises:
        ValueError: with the layer's path and the reason, if it could not start as the old.
    """
    reading = readers(place.model)
    _check_conv(place)
    norm = sole_reader(place.node, reading)
    if norm is None or not isinstance(norm.operation, keras.layers.BatchNormalization):
        raise _impossible(place, "no BatchNorm follows that it alone feeds; the branches have one")
    if norm.operation.axis not in (-1, 3) or len(calls_of(place.model, norm.operation)) != 1:
        raise _impossible(place, "its BatchNorm has another axis or is shared")
    activation = _activation(place, sole_reader(norm, reading))
    return ConvBlock(place.path, place.node, norm, activation, _padding(place, reading))


def _impossible(place, reason) -> ValueError:
    return ValueError(
        f"Layer '{place.path}' cannot become a selective kernel that starts as it was: {reason}"
    )


def _check_conv(place) -> None:
    conv = place.operation
    if not isinstance(conv, keras.layers.Conv2D) or conv.kernel_size != (3, 3):
        raise _impossible(
            place,
            f"it is no 3x3 convolution but {type(conv).__name__} "
            f"{getattr(conv, 'kernel_size', '')}".rstrip(),
        )
    if len(calls_of(place.model, conv)) != 1:
        raise _impossible(place, "it is called several times")
    if conv.activation is not keras.activations.linear:
        raise _impossible(place, "it has an activation of its own, before any BatchNorm")
    if conv.data_format != "channels_last":
        raise _impossible(place, "its data format is channels-first")
    strides, dilation = set(conv.strides), set(conv.dilation_rate)
    if len(strides) > 1 or len(dilation) > 1 or not strides <= {1, 2}:
        raise _impossible(place, f"strides={conv.strides}, dilation_rate={conv.dilation_rate}")


def _activation(place, following):
    """The call that follows BatchNorm if it is a ReLU; None if it is no activation.

    Raises:
        ValueError: for an activation that a factor M does not pass.
    """
    if following is None or _is_relu(following.operation):
        return following
    if is_activation(following.operation):
        raise _impossible(
            place,
            f"'{following.operation.name}' follows. The branches end in their activation f and "
            f"are averaged, which needs M f(v) = f(M v): ReLU or none",
        )
    return None


def _is_relu(operation) -> bool:
    if is_relu(operation):
        plain = operation.max_value is None and not operation.threshold
        return plain and not operation.negative_slope
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.relu
    return type(operation).__name__ == "Relu"  # keras.ops.relu


def _padding(place, reading):
    """The zero padding before the convolution, if the layer takes it over.

    Raises:
        ValueError: if the selective kernel pads otherwise.
    """
    conv = place.operation
    (strides, _), (dilation, _) = conv.strides, conv.dilation_rate
    [tensor] = place.node.input_tensors
    if conv.padding == "same":
        even = [size for size in tensor.shape[1:3] if size is None or size % 2 == 0]
        if strides == 2 and even:
            raise _impossible(
                place,
                f"with strides=2 and padding='same' Keras pads a map of even size on one side "
                f"only, a selective kernel on both. Size: {tuple(tensor.shape[1:3])}",
            )
        return None
    node = makers(place.model)[id(tensor)]
    pads = node.operation
    if (
        isinstance(pads, keras.layers.ZeroPadding2D)
        and pads.padding == ((dilation, dilation), (dilation, dilation))
        and reading[id(tensor)] == [place.node]
        and len(calls_of(place.model, pads)) == 1
    ):
        return node
    raise _impossible(
        place, f"padding={conv.padding!r} without a ZeroPadding2D({dilation}) before it"
    )
