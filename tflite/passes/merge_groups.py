"""Fewer, wider groups for a grouped convolution."""

import keras
import numpy as np

from ...lowering import add_layer

AUTO_WIDTH = 16  # channels of a group: what XNNPACK's int8 kernels compute at once


def merge_groups(operation, graph, lowering, recipe):
    """Gather the groups of a convolution into wider ones with block-diagonal kernels.

    Exact: the zeros outside the blocks multiply what the groups did not see.

    XNNPACK's int8 kernels work on 16 channels at a time, and a narrower group wastes the
    rest. Time of a 3x3 convolution in 32 groups, over the one that is kept, by the width of
    the merged groups (AVX512-VNNI without AMX, one thread, benchmarks/grouped_tflite.py):

        int8, group width     4     8    16    32  dense    float32     8    16  dense
        128 ch., 56x56     1.00  0.57  0.46  0.74   2.43             0.96  1.00   6.15
        256 ch., 28x28           1.00  0.94  1.62   9.40             1.00  0.99  21.29
        512 ch., 14x14                 1.00  1.64  20.72                   1.00  23.16

    So "auto" keeps a group of 16 channels or more, and in int8 widens a narrower one to 16: the
    kernel grows 4 times in ResNeXt-50 and SKNet-50's
    first stage and 2 in their second. "dense" is for runtimes without grouped convolutions
    (Edge TPU, Core ML), and for CPUs with AMX, where a dense int8 block was 5.2 times faster.
    """
    if type(operation) is not keras.layers.Conv2D or operation.groups == 1:
        return None
    merged = merged_groups(operation, lowering.groups, recipe.activations)
    if merged == operation.groups:
        return None

    def build(new):
        kernel, *bias = operation.get_weights()
        layer = keras.layers.Conv2D.from_config(operation.get_config() | {"groups": merged})
        kernel = widen_groups(kernel, operation.groups, merged)
        return add_layer(layer, new(operation.input), [kernel, *bias])

    return build


def merged_groups(conv: keras.layers.Conv2D, groups: str, activations: str) -> int:
    """Number of groups that the converted convolution has."""
    if groups == "dense":
        return 1
    if groups == "keep" or activations != "int8":
        return conv.groups
    width = conv.kernel.shape[2]
    wide_enough = (
        n
        for n in range(conv.groups, 0, -1)
        if conv.groups % n == 0 and width * conv.groups // n >= AUTO_WIDTH
    )
    return next(wide_enough, 1)


def widen_groups(kernel: np.ndarray, groups: int, merged: int) -> np.ndarray:
    """Write a kernel of `groups` groups as the one of `merged` groups that it equals.

    Args:
        kernel: (kh, kw, c / groups, filters).
        groups: number of groups.
        merged: number of groups of the result, a divisor of `groups`.

    Returns:
        (kh, kw, c / merged, filters), zero where input and output were in different groups.
    """
    height, width, fan_in, filters = kernel.shape
    factor = groups // merged
    blocks = kernel.reshape(height, width, 1, fan_in, merged, factor, filters // groups)
    eye = np.eye(factor, dtype=kernel.dtype).reshape(factor, 1, 1, factor, 1)
    return (blocks * eye).reshape(height, width, factor * fan_in, filters)
