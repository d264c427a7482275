"""Which kernel size selective kernels choose."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._panels import COLUMN_WIDTH, in_print_style, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BLOCK_NAMES = 24


@in_print_style
def kernel_choice(attention: Mapping[str, np.ndarray], scales: Sequence[float]) -> "Figure":
    """Draw which kernel is chosen for which size of object, block by block.

    Li et al., https://arxiv.org/abs/1903.06586, figure 3 (b) and figure 4.

    Args:
        attention: what `explain.attention_by_scale` returned.
        scales: the scales that it was given.

    Returns:
        Above 0 the larger kernel is preferred: one line for each scale, its points the
        means over the channels of each block.

    Raises:
        ValueError: if there is not one row for each scale.
    """
    arrays = list(attention.values())
    if not arrays or any(len(array) != len(scales) for array in arrays):
        raise ValueError(
            f"`attention` must hold one row for each scale. Received: {len(arrays)} blocks, "
            f"{[len(array) for array in arrays][:1]} rows, scales={tuple(scales)}"
        )
    width = max(COLUMN_WIDTH * 1.6, 0.34 * len(arrays) + 1.2)
    figure, [axis] = panels(1, 1, (width, 3.4))
    positions = np.arange(len(arrays))
    for index, scale in enumerate(scales):
        heights = [array[index].mean() for array in arrays]
        axis.plot(positions, heights, marker="o", markersize=3.5, label=f"{scale:.1f}x")
    axis.axhline(0, color="0.6", linewidth=0.8)
    step = -(-len(arrays) // MOST_BLOCK_NAMES)
    names = [re.sub(r"_conv\d$", "", path).replace("_block", ".") for path in attention]
    axis.set_xticks(
        positions[::step], names[::step], rotation=60, ha="right", rotation_mode="anchor"
    )
    axis.set(ylabel="attention, last minus first branch", title="Kernel size by object size")
    axis.legend(title="object", frameon=False)
    return figure
