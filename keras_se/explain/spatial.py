"""Where spatial gates look: the maps of CBAM and of the other gates over positions."""

import numpy as np

from ..layers import SpatialAttention, SpatialSqueezeExcite
from .recording import record_method


def spatial_maps(model, images, batch_size: int = 32) -> dict[str, np.ndarray]:
    """The maps of every spatial gate (CBAM's, scSE's and those on their own).

    Args:
        model: any built Keras model with one image input.
        images: array (n, height, width, channels), as `model.predict` takes them.
        batch_size: int >= 1, pictures at a time.

    Returns:
        {path of the layer: float32 array (n, h, w)} in the order of the calls, at the size
        of the layer's feature map; empty for a model without spatial gates.

    Raises:
        ValueError: for a batch size below 1.
    """
    return record_method(
        model,
        (SpatialAttention, SpatialSqueezeExcite),
        "attend",
        np.asarray(images),
        batch_size,
        lambda maps: maps[..., 0],
    )
