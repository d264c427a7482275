"""Which kernel size selective kernels choose, and for which size of object.

Li et al., https://arxiv.org/abs/1903.06586, section 4.4, figures 3 and 4.
"""

import numpy as np

from ..layers import SelectiveKernelConv2D
from .recording import record_method

SCALES = (1.0, 1.5, 2.0)


def branch_weights(model, images, batch_size: int = 32) -> dict[str, np.ndarray]:
    """The softmax weights of the branches of every selective kernel.

    Args:
        model: any built Keras model with one image input.
        images: array (n, height, width, channels), as `model.predict` takes them.
        batch_size: int >= 1, pictures at a time.

    Returns:
        {path of the layer: float32 array (n, branches, channels)}, in the order of the
        calls; empty for a model without selective kernels.

    Raises:
        ValueError: for a batch size below 1.
    """
    return record_method(
        model, SelectiveKernelConv2D, "select_branches", np.asarray(images), batch_size
    )


def enlarged(images, scale: float) -> np.ndarray:
    """The centre of pictures, enlarged by `scale` to the full size.

    Args:
        images: array (n, height, width, channels).
        scale: float >= 1. The central 1 / scale of height and width is kept.

    >>> enlarged(np.ones((2, 9, 8, 3)), 2.0).shape
    (2, 9, 8, 3)
    """
    if not scale >= 1:
        raise ValueError(f"`scale` must be at least 1. Received: scale={scale}")
    images = np.asarray(images, "float32")
    if scale == 1:
        return images
    for axis in (1, 2):
        size = images.shape[axis]
        # Pixel centres, as in the resize of an image library.
        position = ((np.arange(size) + 0.5) / scale + size / 2 * (1 - 1 / scale)) - 0.5
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, size - 1)
        share = (position - low).astype("float32")
        share = share.reshape([-1 if a == axis else 1 for a in range(4)])
        images = np.take(images, low, axis) * (1 - share) + np.take(images, high, axis) * share
    return images


def attention_by_scale(
    model, images, scales: tuple[float, ...] = SCALES, batch_size: int = 32
) -> dict[str, np.ndarray]:
    """How much more the larger kernel is chosen, for objects of several sizes (figure 3).

    Args:
        model: any built Keras model with one image input and selective kernels.
        images: array (n, height, width, channels) with objects in the centre.
        scales: floats >= 1, by which the centre is enlarged.
        batch_size: int >= 1, pictures at a time.

    Returns:
        {path of the layer: float32 array (scales, channels)}: mean over the pictures of the
        weight of the last branch (5x5 in the paper) minus that of the first (3x3).

    Raises:
        ValueError: for a model without selective kernels, or a scale or batch size below 1.
    """
    found: dict[str, list] = {}
    for scale in scales:
        weights = branch_weights(model, enlarged(images, scale), batch_size)
        for path, array in weights.items():
            found.setdefault(path, []).append((array[:, -1] - array[:, 0]).mean(axis=0))
    if not found:
        raise ValueError(f"Model '{model.name}' has no selective kernels")
    return {path: np.stack(rows) for path, rows in found.items()}
