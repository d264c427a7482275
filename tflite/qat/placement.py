"""Which tensors of an int8 file have a range of their own, and which share or fix it."""

from dataclasses import dataclass

import keras

from .graph import Node

layers = keras.layers
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)

# Kernels that require one scale for input and output.
SAME_SCALE = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Flatten,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.Permute,
    layers.Reshape,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
)
# And for all their inputs.
SAME_SCALE_MANY = (layers.Concatenate, layers.Maximum, layers.Minimum)
OWN_RANGE = (
    *_CONVOLUTIONS,
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Dense,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.LeakyReLU,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
    layers.Subtract,
)
_ACTIVATIONS = ("gelu", "leaky_relu", "relu", "sigmoid", "softmax", "tanh")
_BEFORE_RELU = (
    *_CONVOLUTIONS,
    layers.Add,
    layers.BatchNormalization,
    layers.Dense,
    layers.Multiply,
    layers.Rescaling,
    layers.Subtract,
)


@dataclass(eq=False)
class Range:
    """A range that one or more tensors of a file have.

    Attributes:
        nodes: the nodes after which the tensors are rounded.
        bounds: low and high where the file format fixes them; None where they are learnt.
    """

    nodes: list[Node]
    bounds: tuple[float, float] | None


def check_supported(nodes: list[Node]) -> None:
    """Raise unless every operation of a canonical model has an int8 form.

    Raises:
        ValueError: listing those that have none.
    """
    unknown = {}
    for node in nodes[1:]:
        reason = _unsupported(node.operation)
        if reason:
            unknown[node.operation.name] = reason
    if unknown:
        listed = ", ".join(f"{name!r} ({reason})" for name, reason in unknown.items())
        raise ValueError(
            f"No int8 form is known for these layers: {listed}. Replace them, or give a layer "
            "of your own a method `lower(inputs, name)` (keras_se.lowering.Lowerable)"
        )


def _unsupported(operation) -> str | None:
    kind = type(operation).__name__
    if type(operation) not in (*OWN_RANGE, *SAME_SCALE, *SAME_SCALE_MANY):
        return kind
    if isinstance(operation, layers.Activation):
        function = getattr(operation.activation, "__name__", "custom")
        return None if function in _ACTIVATIONS else f"{kind} {function}"
    if isinstance(operation, layers.ReLU) and (operation.threshold or operation.negative_slope):
        return f"{kind} with a threshold or slope: use LeakyReLU"
    return None


def place_ranges(nodes: list[Node], raw_pixels: bool) -> list[Range]:
    """Decide after which nodes of a canonical model values are rounded, and in which range.

    After every operator, but not

    - inside convolution -> BatchNorm -> ReLU and addition -> ReLU, which become one operator;
    - after operators that keep the scale of their input (pooling, reshaping, padding);
    - after a final softmax or sigmoid: training needs its small probabilities, and the
      converter gives it its fixed range.

    All that flows into a concatenation shares one range.

    Args:
        nodes: of the canonical model, from `trace`.
        raw_pixels: whether the input is raw pixels, stored as they are.
    """
    parents = {node: node for node in nodes}

    def find(node):
        while parents[node] is not node:
            node = parents[node]
        return node

    for node in nodes[1:]:
        if node.is_a(*SAME_SCALE, *SAME_SCALE_MANY):
            for source in node.inputs:
                parents[find(node)] = find(source)
    ranges: dict[Node, Range] = {}
    for index, node in enumerate(nodes):
        if not _is_rounded(node):
            continue
        bounds = (0.0, 255.0) if index == 0 and raw_pixels else _fixed_bounds(node)
        group = ranges.setdefault(find(node), Range([], bounds))
        if group.nodes and group.bounds != bounds:
            raise ValueError(
                "An int8 file stores what is concatenated with one range, and that of "
                f"{_name(node)!r} differs from that of {_name(group.nodes[0])!r}: a sigmoid, a "
                "softmax and raw pixels have fixed ones. Put a convolution in between"
            )
        group.nodes.append(node)
    return list(ranges.values())


def clipped_at(operation) -> float | None:
    """Where a ReLU clips, if int8 has no operator for it: its range clips instead."""
    if not isinstance(operation, layers.ReLU) or operation.max_value in (None, 6.0):
        return None
    return float(operation.max_value)


def _is_rounded(node: Node) -> bool:
    if node.is_a(*SAME_SCALE, *SAME_SCALE_MANY):
        return False
    user = node.sole_user()
    if user is None:
        return bool(node.users) or activation_name(node.operation) not in ("softmax", "sigmoid")
    if node.is_a(*_CONVOLUTIONS) and user.is_a(layers.BatchNormalization):
        return False
    return not (node.is_a(*_BEFORE_RELU) and activation_name(user.operation) == "relu")


def _fixed_bounds(node: Node) -> tuple[float, float] | None:
    """Ranges that the int8 kernels of some functions fix."""
    name = activation_name(node.operation)
    if name in ("sigmoid", "softmax"):
        return 0.0, 255 / 256
    if name == "tanh":
        return -1.0, 127 / 128
    clip = clipped_at(node.operation)
    return None if clip is None else (0.0, clip)


def activation_name(operation) -> str | None:
    """Of an activation layer; None for other operations."""
    if isinstance(operation, layers.Activation):
        return operation.activation.__name__
    return {layers.ReLU: "relu", layers.Softmax: "softmax"}.get(type(operation))


def _name(node: Node) -> str:
    return node.operation.name if node.operation else "the input"
