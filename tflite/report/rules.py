"""What devices ask of operators: each rule gives what is against a node, or None.

A rule is made by a function that takes its limits, so that a device's table reads as its
vendor's list does.
"""

from collections.abc import Callable, Mapping

from .nodes import Node

Finding = tuple[str, str]  # reason and cure
Rule = Callable[[Node], Finding | None]


def dtypes(allowed: tuple[str, ...], reason: str, cure: str, besides=()) -> Rule:
    """The feature maps have one of these dtypes; not asked of the operators in `besides`."""
    kinds = {_kind(dtype) for dtype in allowed}

    def rule(node):
        maps = [t for t in (*node.inputs, *node.outputs) if not t.constant]
        strange = {t.dtype for t in maps if t.dtype not in allowed}
        if not strange or node.name in besides:
            return None
        # The dtype is named where others of its kind would do.
        named = {dtype if _kind(dtype) in kinds else _kind(dtype) for dtype in strange}
        return f"{', '.join(sorted(named))} values: {reason}", cure

    return rule


def weights(forbidden: str, reason: str, cure: str) -> Rule:
    """No constant input of this dtype while the feature maps are floats."""

    def rule(node):
        constants = {t.dtype for t in node.inputs if t.constant}
        is_float = node.outputs and node.outputs[0].dtype == "float32"
        return (reason, cure) if is_float and forbidden in constants else None

    return rule


def highest_version(limit: int, cure: str, cures: Mapping[str, str], **others: int) -> Rule:
    """The operator's version is at most this one, or the one that `others` has for its name.

    What cures it is in `cures` for some operators, by name.
    """

    def rule(node):
        highest = others.get(node.name, limit)
        if node.version > highest:
            reason = f"version {node.version}, where version {highest} is the highest taken"
            return reason, cures.get(node.name, cure)
        return None

    return rule


def highest_rank(limit: int, cure: str) -> Rule:
    """No feature map has more dimensions."""

    def rule(node):
        ranks = [len(t.shape) for t in (*node.inputs, *node.outputs) if not t.constant]
        highest = max(ranks, default=0)
        return (f"a tensor of {highest} dimensions", cure) if highest > limit else None

    return rule


def innermost_three(cure: str) -> Rule:
    """Only the last three dimensions are larger than 1."""

    def rule(node):
        for tensor in (*node.inputs, *node.outputs):
            if not tensor.constant and any(size > 1 for size in tensor.shape[:-3]):
                return f"shape {list(tensor.shape)}: four dimensions larger than 1", cure
        return None

    return rule


def ungrouped(reason: str, cure: str) -> Rule:
    """A convolution has one group."""

    def rule(node):
        return (f"{node.groups} groups: {reason}", cure) if node.groups > 1 else None

    return rule


def same_dilation(cure: str) -> Rule:
    """A convolution has the same dilation in both directions."""

    def rule(node):
        height = node.options.get("dilationHFactor", 1)
        width = node.options.get("dilationWFactor", 1)
        return (f"dilation {height} by {width}", cure) if height != width else None

    return rule


def no_activation(cure: str) -> Rule:
    """No activation is fused into the operator."""

    def rule(node):
        return ("a fused activation", cure) if node.activation else None

    return rule


def vector(limit: int, cure: str) -> Rule:
    """The input is one row of at most so many numbers."""

    def rule(node):
        shape = node.inputs[0].shape
        if any(size > 1 for size in shape[:-1]) or shape[-1] > limit:
            return f"shape {list(shape)}, where one row of at most {limit:,} is taken", cure
        return None

    return rule


def not_over(axes: tuple[int, ...], reason: str, cure: str) -> Rule:
    """A reduction of a rank-4 tensor does not run over these axes."""

    def rule(node):
        over = [axis for axis in node.axes if axis in axes]
        return (reason, cure) if over and len(node.inputs[0].shape) == 4 else None

    return rule


def over_height_and_width_only(cure: str) -> Rule:
    """A reduction runs over height and width of a rank-4 tensor, and keeps its rank."""

    def rule(node):
        keeps = node.options.get("keepDims", False)
        if len(node.inputs[0].shape) != 4 or not set(node.axes) <= {1, 2} or not keeps:
            shape = list(node.inputs[0].shape)
            kept = "" if keeps else ", dimensions dropped"
            return f"over axes {list(node.axes)} of {shape}{kept}", cure
        return None

    return rule


def depth_multiple_of(factor: int, cure: str) -> Rule:
    """A reduction over channels has a multiple of so many."""

    def rule(node):
        shape = node.inputs[0].shape
        over_depth = len(shape) - 1 in node.axes
        return (f"over {shape[-1]} channels", cure) if over_depth and shape[-1] % factor else None

    return rule


def thin_if_over_depth(cure: str) -> Rule:
    """A reduction over channels has a height, width or depth of 1."""

    def rule(node):
        shape = node.inputs[0].shape
        thin = len(shape) < 3 or 1 in shape[-3:]
        return ("a mean over channels", cure) if len(shape) - 1 in node.axes and not thin else None

    return rule


def broadcast_one_way(cure: str) -> Rule:
    """Of two factors or terms, one is at least as large as the other in every dimension."""

    def rule(node):
        first, second = (_four(t.shape) for t in node.inputs[:2])
        pairs = list(zip(first, second, strict=True))
        if any(a < b for a, b in pairs) and any(a > b for a, b in pairs):
            return f"{list(first)} with {list(second)}: both are broadcast", cure
        return None

    return rule


def broadcast_over_pixels_or_channels(cure: str) -> Rule:
    """Where the shapes differ, one has a height and width of 1, or one channel."""

    def rule(node):
        (_, h0, w0, c0), (_, h1, w1, c1) = (_four(t.shape) for t in node.inputs[:2])
        pixels = (h0, w0) == (h1, w1) or (1, 1) in ((h0, w0), (h1, w1))
        if pixels and (c0 == c1 or 1 in (c0, c1)):
            return None
        return f"{[h0, w0, c0]} with {[h1, w1, c1]}", cure

    return rule


def always(reason: str, cure: str) -> Rule:
    """Never taken."""
    return lambda node: (reason, cure)


def _kind(dtype: str) -> str:
    """ "integer" or "float" of most dtypes; else their own name."""
    kind = dtype.strip("0123456789")
    return {"int": "integer", "uint": "integer", "bfloat": "float"}.get(kind, kind)


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (4 - len(shape)) + tuple(shape[-4:])
