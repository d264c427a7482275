"""What a gate multiplies its input with: on pictures, or whatever the picture.

A gate of `GATES` is y = gate * x, with a gate that broadcasts to x, except for GlobalContext,
which adds, and ConcurrentSqueezeExcite with combine="max".
"""

import math
from dataclasses import dataclass

import numpy as np
from keras import ops

from .. import layers as kinds
from ..layers.gate_functions import GATE_FUNCTIONS


@dataclass(frozen=True, eq=False)
class Constant:
    """What a constant gate computes: y = scale * x + shift, both float32 arrays (c,)."""

    scale: np.ndarray
    shift: np.ndarray

    @property
    def is_identity(self) -> bool:
        return bool(np.all(self.scale == 1) and np.all(self.shift == 0))


def values(gate, x):
    """The gate of a feature map (b, h, w, c), in inference mode; it broadcasts to x.

    Raises:
        ValueError: for a gate that does more than multiply.
    """
    if isinstance(gate, kinds.CBAM):
        product = 1.0
        if gate.channel is not None:
            product = gate.channel.excite(x)
            x = x * product
        return product if gate.spatial is None else product * gate.spatial.attend(x, False)
    if isinstance(gate, kinds.ConcurrentSqueezeExcite):
        if gate.combine != "add":
            raise ValueError("combine='max' is no product with the input")
        return gate.channel.excite(x) + gate.spatial.attend(x)
    if isinstance(gate, kinds.CoordinateAttention):
        rows, columns = gate.attend(x, training=False)
        return rows * columns
    if isinstance(gate, kinds.BAM):
        return 1.0 + gate.attend(x, training=False)
    if isinstance(gate, kinds.GlobalContext):
        raise ValueError("it adds to its input instead of multiplying it")
    if isinstance(gate, kinds.SpatialSqueezeExcite):
        return gate.attend(x)
    if isinstance(gate, (kinds.SpatialAttention, kinds.GatherExcite)):
        return gate.attend(x, training=False)
    return gate.excite(x)


def constant(gate, channels: int) -> Constant | None:
    """What a gate computes if its weights make it the same for every picture.

    Args:
        gate: a built layer of one of the kinds of `GATES`.
        channels: int, of its input.

    Returns:
        None if a weight that sees the picture is not zero.
    """
    found = _scale_and_shift(gate)
    if found is None:
        return None
    scale, shift = (np.broadcast_to(np.asarray(a, "float32"), (channels,)) for a in found)
    return Constant(scale, shift)


def _scale_and_shift(gate):
    if isinstance(gate, kinds.CBAM):
        parts = [_scale_and_shift(part) for part in gate.parts]
        if any(part is None for part in parts):
            return None
        return math.prod(scale for scale, _ in parts), 0.0
    if isinstance(gate, kinds.GlobalContext):
        added = _bias_if_constant(gate.expand)
        return None if added is None else (1.0, added)
    logits = _logits(gate)
    if logits is None:
        return None
    if isinstance(gate, kinds.ConcurrentSqueezeExcite):
        by_channel, by_pixel = (_apply(gate.gate, part) for part in logits)
        # The larger of two products depends on the sign of x, unless they are equal.
        if gate.combine == "max" and not np.all(by_channel == by_pixel):
            return None
        return (by_channel if gate.combine == "max" else by_channel + by_pixel), 0.0
    if isinstance(gate, kinds.CoordinateAttention):
        rows, columns = (_apply(gate.gate, part) for part in logits)
        return rows * columns, 0.0
    scale = _apply(gate.gate, logits)
    return (1 + scale if isinstance(gate, kinds.BAM) else scale), 0.0


def _apply(function, logits):
    return ops.convert_to_numpy(GATE_FUNCTIONS[function].function(ops.convert_to_tensor(logits)))


def _logits(gate):
    """The logits of a gate, or of its parts, if no weight lets them see the picture."""
    if isinstance(gate, kinds.SqueezeExcite):
        return _bias_if_constant(gate.expand)
    if isinstance(gate, kinds.ChannelAttention):
        bias = _bias_if_constant(gate.expand)
        return None if bias is None else 2 * bias
    if isinstance(gate, kinds.EffectiveSqueezeExcite):
        return _bias_if_constant(gate.dense)
    if isinstance(gate, kinds.SpatialSqueezeExcite):
        return _bias_if_constant(gate.squeeze)
    if isinstance(gate, kinds.EfficientChannelAttention):
        return _bias_if_constant(gate.conv)
    if isinstance(gate, kinds.SpatialAttention):
        return _beta_if_constant(gate.norm)
    if isinstance(gate, kinds.GatherExcite):
        if gate.variant == "theta-":
            return None
        if gate.variant == "theta":
            return _beta_if_constant(gate.norms[-1])
        return _bias_if_constant(gate.expand)
    if isinstance(gate, kinds.BAM):
        return _logits_of_bam(gate)
    if isinstance(gate, kinds.ConcurrentSqueezeExcite):
        return _both(
            _bias_if_constant(gate.channel.expand), _bias_if_constant(gate.spatial.squeeze)
        )
    if isinstance(gate, kinds.CoordinateAttention):
        return _both(_bias_if_constant(gate.rows), _bias_if_constant(gate.columns))
    return None


def _logits_of_bam(gate):
    if gate.combine == "sum":
        both = _both(*(_beta_if_constant(branch[-1]) for branch in (gate.channel, gate.spatial)))
        return None if both is None else both[0] + both[1]
    parts = [_bias_if_constant(branch[-1]) for branch in (gate.channel, gate.spatial)]
    if any(part is not None and not np.any(part) for part in parts):
        return np.zeros(1, "float32")  # zero times anything
    both = _both(*parts)
    return None if both is None else both[0] * both[1]


def _both(first, second):
    return None if first is None or second is None else (first, second)


def _bias_if_constant(layer):
    """What a dense layer or convolution returns if its kernel is zero; otherwise None."""
    if np.any(ops.convert_to_numpy(layer.kernel)):
        return None
    if layer.use_bias:
        return ops.convert_to_numpy(layer.bias).astype("float32")
    return np.zeros(1, "float32")


def _beta_if_constant(norm):
    if np.any(ops.convert_to_numpy(norm.gamma)):
        return None
    return ops.convert_to_numpy(norm.beta).astype("float32")
