"""3x3 convolutions that become selective kernels and start as what they were."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from ..graph import nodes_in_order, readers
from ..layers import CONVS, SelectiveKernelConv2D
from ..layers._common import check_choice
from .places import Place, Where, find_places, is_activation
from .rebuild import Changes, rebuild

# What the new branches return: above zero, where ReLU has a gradient. In float16 it must be
# a normal number, since accelerators take smaller ones for zero.
ALIVE, ALIVE_IN_FLOAT16 = 1e-7, 1e-4


def replace(
    model: keras.Model, layers: Where | None = None, conv: str = "sk", **options
) -> keras.Model:
    """Turn 3x3 convolutions into selective kernels that compute the same at first.

    A convolution, the BatchNorm and the ReLU that follow it become one
    `SelectiveKernelConv2D`. Its branches are relu(BN(conv)) and its softmax weights sum to 1:

        select: A = 0, so that each of M branches has the weight 1/M
        branch 1: the old kernel and BatchNorm, gamma and beta times M: M relu(v) = relu(M v)
        branches 2..M: gamma = 0, beta = 1e-7: nothing, but on ReLU's side that trains

    so y = relu(v) + 1e-7 (M - 1) / M, in training mode too. Select and the new branches'
    BatchNorm have gradients from the first step, what lies before them from the second.

    Args:
        model: functional or Sequential Keras model; models inside it are searched, too.
        layers: which convolutions, as `after` of `insert`. None: all that can start as the
            old layer.
        conv: name of a convolution in `keras_se.layers.CONVS`.
        **options: its arguments except filters, groups, strides, dilation, activation,
            epsilon and momentum, which are the old layers'.

    Returns:
        A new model of the same kind, not compiled, with copies of the weights. The new
        layers have the convolutions' names.

    Raises:
        ValueError: if a named layer cannot start as it was, with the reason: it is no 3x3
            convolution; it is called several times, or its inner results are read
            elsewhere; BatchNorm or a ReLU (or no activation) does not follow; stride 2 with
            Keras' "same" padding of an even size, which pads on one side only.
        TypeError: for options that are taken from the old layers, or unknown.

    >>> images = keras.Input((32, 32, 3))
    >>> maps = keras.layers.Conv2D(16, 3, padding="same", name="conv")(images)
    >>> maps = keras.layers.ReLU()(keras.layers.BatchNormalization()(maps))
    >>> [layer.name for layer in replace(keras.Model(images, maps)).layers][1:]
    ['conv']
    """
    check_choice("conv", conv, CONVS)
    taken = {"filters", "groups", "strides", "dilation", "activation", "epsilon", "momentum"}
    if taken & set(options):
        raise TypeError(
            f"These come from the old layers: {sorted(taken)}. Received: "
            f"{sorted(taken & set(options))}"
        )
    if options.get("split_input"):
        raise ValueError(
            "The first branch holds the old kernel: it needs all input channels, split_input=False"
        )
    triples = _triples(model, layers)
    new_layers = {id(t.conv.operation): t.layer(options) for t in triples}
    skipped = frozenset(id(node) for t in triples for node in t.passed)
    result = rebuild(model, Changes(layers=new_layers, skipped=skipped))
    for triple in triples:
        _start_as(new_layers[id(triple.conv.operation)], triple)
    return result


@dataclass(frozen=True, eq=False)
class _Triple:
    """A convolution, its BatchNorm and its activation, and the zero padding before it."""

    path: str
    conv: Any  # nodes of Keras' graph
    norm: Any
    activation: Any | None
    padding: Any | None
    slope: float  # of the activation on the negative side

    @property
    def passed(self) -> list:
        return [n for n in (self.padding, self.norm, self.activation) if n is not None]

    def layer(self, options) -> SelectiveKernelConv2D:
        conv, norm = self.conv.operation, self.norm.operation
        defaults = {
            "kernel_regularizer": conv.kernel_regularizer,
            "ratio": min(16, conv.filters),  # the reduced width is at least min_width anyway
        }
        return SelectiveKernelConv2D(
            conv.filters,
            groups=conv.groups,
            strides=conv.strides[0],
            dilation=conv.dilation_rate[0],
            activation=_activation(self.slope),
            epsilon=norm.epsilon,
            momentum=norm.momentum,
            name=conv.name,
            dtype=conv.dtype_policy,
            **defaults | options,
        )


def _activation(slope):
    return {0.0: "relu", 1.0: "linear"}[slope]


def _triples(model, layers) -> list[_Triple]:
    if layers is None:
        candidates = find_places(
            model, lambda layer: isinstance(layer, keras.layers.Conv2D), "layers"
        )
    else:
        candidates = find_places(model, layers, "layers")
    found, reason = [], "it has no convolution"
    for place in candidates:
        try:
            found.append(_triple(place))
        except ValueError as error:
            reason = str(error)
            if layers is not None:
                raise
    if not found:
        raise ValueError(
            f"No convolution of '{model.name}' can become a selective kernel that starts as "
            f"the old layer. The last one: {reason}"
        )
    return found


def _triple(place: Place) -> _Triple:
    """What a selective kernel at this place takes over.

    Raises:
        ValueError: with the layer's path and the reason, if it could not start as the old.
    """
    reading = readers(place.model)
    _check_conv(place)
    norm = _only_reader(place.node, reading)
    if norm is None or not isinstance(norm.operation, keras.layers.BatchNormalization):
        raise _impossible(place, "no BatchNorm follows that it alone feeds; the branches have one")
    if norm.operation.axis not in (-1, 3) or len(_calls(place.model, norm)) != 1:
        raise _impossible(place, "its BatchNorm has another axis or is shared")
    activation = _only_reader(norm, reading)
    slope = None if activation is None else _slope(activation.operation)
    if slope is None and activation is not None and is_activation(activation.operation):
        raise _impossible(
            place,
            f"'{activation.operation.name}' follows. The branches end in their activation f and "
            f"are averaged, which needs M f(v) = f(M v): ReLU or none",
        )
    if slope is None:
        activation, slope = None, 1.0
    return _Triple(place.path, place.node, norm, activation, _padding(place, reading), slope)


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
    if len(_calls(place.model, place.node)) != 1:
        raise _impossible(place, "it is called several times")
    if conv.activation is not keras.activations.linear:
        raise _impossible(place, "it has an activation of its own, before any BatchNorm")
    if conv.data_format != "channels_last":
        raise _impossible(place, "its data format is channels-first")
    strides, dilation = set(conv.strides), set(conv.dilation_rate)
    if len(strides) > 1 or len(dilation) > 1 or not strides <= {1, 2}:
        raise _impossible(place, f"strides={conv.strides}, dilation_rate={conv.dilation_rate}")


def _calls(model, node) -> list:
    """The calls of a node's layer that belong to this model."""
    return [n for n in nodes_in_order(model) if n.operation is node.operation]


def _only_reader(node, reading):
    """The call that reads this one, if it is the only one."""
    following = reading[id(node.output_tensors[0])]
    return following[0] if len(following) == 1 else None


def _slope(operation) -> float | None:
    """0 for ReLU; None for what is not f(M v) = M f(v)."""
    relu = keras.layers.ReLU
    if isinstance(operation, relu):
        plain = operation.max_value is None and not operation.threshold
        return 0.0 if plain and not operation.negative_slope else None
    if isinstance(operation, keras.layers.Activation):
        return 0.0 if operation.activation is keras.activations.relu else None
    return 0.0 if type(operation).__name__ == "Relu" else None  # keras.ops.relu


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
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    pads = node.operation
    if (
        isinstance(pads, keras.layers.ZeroPadding2D)
        and pads.padding == ((dilation, dilation), (dilation, dilation))
        and reading[id(tensor)] == [place.node]
        and len(_calls(place.model, node)) == 1
    ):
        return node
    raise _impossible(
        place, f"padding={conv.padding!r} without a ZeroPadding2D({dilation}) before it"
    )


def _start_as(layer: SelectiveKernelConv2D, triple: _Triple) -> None:
    """Set the weights that make the layer compute what the triple did."""
    conv, norm = triple.conv.operation, triple.norm.operation
    if layer.convs[0].kernel.shape != conv.kernel.shape:
        raise ValueError(
            f"Layer '{triple.path}': the first branch must have a 3x3 kernel to hold the old "
            f"one. Its shape: {tuple(layer.convs[0].kernel.shape)}"
        )
    layer.convs[0].kernel.assign(conv.kernel)
    count = layer.branches
    first, *others = layer.norms
    mean = ops.convert_to_tensor(norm.moving_mean)
    if conv.use_bias:
        mean = mean - ops.cast(conv.bias, mean.dtype)
    first.moving_mean.assign(mean)
    first.moving_variance.assign(norm.moving_variance)
    first.gamma.assign(count * (norm.gamma if norm.scale else ops.ones_like(first.gamma)))
    first.beta.assign(count * (norm.beta if norm.center else ops.zeros_like(first.beta)))
    alive = ALIVE_IN_FLOAT16 if layer.compute_dtype == "float16" else ALIVE
    for other in others:
        other.gamma.assign(ops.zeros_like(other.gamma))
        other.beta.assign(ops.full_like(other.beta, alive if triple.slope == 0 else 0.0))
    layer.select.kernel.assign(ops.zeros_like(layer.select.kernel))
