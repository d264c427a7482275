"""How a branch of a selective kernel pads, strides and dilates.

The papers' networks come from PyTorch: a k x k kernel with dilation d is padded by d (k // 2)
zeros on every side, also at stride 2. Keras' "same" padding is that at stride 1; at stride 2
it pads a map of even size on one side only, and a convolution strides or dilates, not both.
"""

from typing import NamedTuple

from ._common import check_sizes


class Geometry(NamedTuple):
    """What one branch does, in terms of layers that Keras has."""

    kernel_size: int
    dilation: int
    strides: int = 1
    pad: int = 0  # explicit zeros on every side; 0 means "same" padding
    skip_before: bool = False  # every second pixel, before the convolution
    skip_after: bool = False


def branch_geometry(kernel_size: int, dilation: int, strides: int) -> Geometry:
    """The form that equals PyTorch's convolution exactly, at the least cost.

    >>> branch_geometry(3, 2, strides=2)
    Geometry(kernel_size=3, dilation=1, strides=1, pad=0, skip_before=True, skip_after=False)
    """
    if strides == 1:
        return Geometry(kernel_size, dilation)
    if dilation == 1:
        return Geometry(kernel_size, dilation, strides=2, pad=kernel_size // 2)
    if dilation % 2 == 0:  # every tap falls on an even pixel
        return Geometry(kernel_size, dilation // 2, skip_before=True)
    return Geometry(kernel_size, dilation, skip_after=True)


def check_strides(strides: int, dilation: int) -> int:
    """Return `strides` if it is 1, or 2 without dilation."""
    if strides not in (1, 2):
        raise ValueError(f"`strides` must be 1 or 2. Received: strides={strides!r}")
    if strides > 1 and dilation > 1:
        raise ValueError(
            f"A convolution strides or dilates, not both. "
            f"Received: strides={strides}, dilation={dilation}"
        )
    return strides


def check_kernel_sizes(kernel_sizes, branches: int) -> tuple[int, ...] | None:
    """Return None, or one odd number for each branch as a tuple."""
    if kernel_sizes is None:
        return None
    kernel_sizes = check_sizes("kernel_sizes", kernel_sizes)
    if len(kernel_sizes) != branches:
        raise ValueError(
            f"`kernel_sizes` needs one size per branch. "
            f"Received: kernel_sizes={kernel_sizes}, branches={branches}"
        )
    return kernel_sizes
