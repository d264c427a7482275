"""Affine grids, and bilinear samples at their points: Jaderberg, Simonyan, Zisserman,
Kavukcuoglu, https://arxiv.org/abs/1506.02025, sections 3.2 and 3.3.
"""

from keras import ops


def affine_grid(theta, height: int, width: int, align_corners: bool = False):
    """Where each output pixel is sampled (equation 1).

        (x, y) = theta (xt, yt, 1), with xt and yt from -1 (left, top) to 1 (right, bottom)

    Args:
        theta: (batch, 2, 3).
        height: int, of the output, in pixels.
        width: int, of the output, in pixels.
        align_corners: bool. True puts -1 and 1 on the centres of the outermost pixels,
            xt = 2 i / (width - 1) - 1 (0 for a single pixel); False on their outer edges,
            xt = (2 i + 1) / width - 1. PyTorch's `affine_grid` has the same two.

    Returns:
        (batch, height, width, 2) of the dtype of theta: x, then y.

    >>> identity = ops.convert_to_tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> ops.convert_to_numpy(affine_grid(identity, height=1, width=2)).tolist()
    [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    x, y = (_axis(size, align_corners, theta.dtype) for size in (width, height))
    grid = ops.stack([*ops.meshgrid(x, y), ops.ones((height, width), theta.dtype)], axis=-1)
    # not a matrix product, which a GPU may compute with 11 bits (TF32)
    return ops.sum(grid[None, :, :, None] * theta[:, None, None], axis=-1)


def _axis(size, align_corners, dtype):
    steps = ops.cast(ops.arange(size), dtype)
    if align_corners:
        return steps * (2 / ops.cast(ops.maximum(size - 1, 1), dtype)) - ops.cast(size > 1, dtype)
    return (2 * steps + 1) / ops.cast(size, dtype) - 1


def bilinear_sample(images, grid, align_corners: bool = False):
    """Read images at fractional positions (equation 5); 0 outside of them.

        v = sum over n, m of u[n, m] max(0, 1 - |x - m|) max(0, 1 - |y - n|)

    Differentiable in both arguments (equations 6 and 7).

    Args:
        images: (batch, height, width, channels).
        grid: (batch, new height, new width, 2), x and y as in `affine_grid`.
        align_corners: bool, as in `affine_grid`.

    Returns:
        (batch, new height, new width, channels) of the dtype of the images.
    """
    batch, height, width, channels = ops.shape(images)
    x, y = _pixels(grid[..., 0], width, align_corners), _pixels(grid[..., 1], height, align_corners)
    left, top = ops.floor(x), ops.floor(y)
    pixels = ops.reshape(images, (-1, channels))
    first = ops.reshape(ops.arange(batch) * (height * width), (-1, 1, 1))
    total = 0
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - ops.abs(x - column)) * (1 - ops.abs(y - row))
            inside = _within(row, height) & _within(column, width)
            weight = ops.where(inside, weight, 0)[..., None]
            index = first + _index(row, height) * width + _index(column, width)
            value = ops.take(pixels, index, axis=0)
            total = total + ops.cast(value, weight.dtype) * weight
    return ops.cast(total, images.dtype)


def _pixels(position, size, align_corners):
    """Positions in [-1, 1] as fractional pixel indices."""
    size = ops.cast(size, position.dtype)
    return (position + 1) * (size - 1) / 2 if align_corners else ((position + 1) * size - 1) / 2


def _within(index, size):
    return (index >= 0) & (index < ops.cast(size, index.dtype))


def _index(position, size):
    return ops.clip(ops.cast(position, "int32"), 0, size - 1)
