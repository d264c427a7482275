"""Exact rewrites of a lowered model, for the file that runs it.

Each pass is one function in one file. It looks at one operation of the graph and returns
None, or how to build its output anew; it changes no other output, so every reader of a
tensor that is bypassed keeps it. What nobody reads any more vanishes.
"""

import keras

from ..lowering.equality import TOLERANCE, check_equal
from ..recipe import Recipe
from .average_pool import average_pool
from .channel_mean import channel_mean
from .fold_squeeze import fold_squeeze
from .graph import Graph, Rewrite, rewrite
from .hard_swish import hard_swish
from .integer_activation import integer_activation
from .integer_norm import integer_norm
from .lowering import Lowering
from .merge_groups import merge_groups
from .unroll import unroll
from .window_pool import window_pool

# In this order, because
# - folding looks for global average pools, and leaves other ones;
# - hard swishes write kernels, and the groups of these are wide by then;
# - the channel mean is a pool until it is a convolution;
# - windows are averaged by convolutions before a whole map is a window;
# - pools take their last form when nobody looks for them any more;
# - so do layers that no other pass knows.
PASSES: tuple[Rewrite, ...] = (
    fold_squeeze,
    merge_groups,
    hard_swish,
    channel_mean,
    window_pool,
    average_pool,
    integer_activation,
    integer_norm,
    unroll,
)

__all__ = ["PASSES", "Graph", "Lowering", "Rewrite", "apply_passes", "rewrite"]


def apply_passes(lowered: keras.Model, lowering: Lowering, recipe: Recipe) -> keras.Model:
    """Rewrite a lowered model by all `PASSES`, in their order.

    Args:
        lowered: what `keras_se.tflite.lower` returned; it is not changed.
        lowering: which rewrites are wanted.
        recipe: what the file is for: "auto" choices depend on its number format.

    Returns:
        A lowered model with equal outputs, up to float32's rounding; `lowered` itself when
        no pass applies.

    Raises:
        RuntimeError: when the outputs differ.
    """
    rewritten = lowered
    for apply in PASSES:
        rewritten = rewrite(rewritten, apply, lowering, recipe)
    if rewritten is not lowered:
        check_equal(lowered, rewritten, None, TOLERANCE)
    return rewritten
