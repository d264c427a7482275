"""Handwritten digits that need no download."""

import numpy as np
from PIL import Image

from ..picture_reading import resized
from .picture_files import check_size
from .pictures import Pictures


def load_digits(image_size=32, channels: int = 1) -> Pictures:
    """Load 1,797 real handwritten digits, which scikit-learn brings along (no download).

    The 8x8 pictures with 17 grey levels (https://archive.ics.uci.edu/dataset/80) are enlarged
    to `image_size`, bicubic; white ink on black.

    Args:
        image_size: int, or (height, width), in pixels.
        channels: 1, or 3 equal ones.

    Returns:
        `Pictures` of shape (1797, height, width, channels) with the classes "0" to "9".

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if an argument is out of its range.

    >>> load_digits(image_size=32, channels=3).images.shape
    (1797, 32, 32, 3)
    """
    size = check_size(image_size)
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}")
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError('load_digits needs scikit-learn: pip install "keras-se[demo]"') from error
    digits = datasets.load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), from 0 to 16
    enlarged = np.stack([resized(Image.fromarray(digit), size) for digit in grey])
    images = np.repeat(enlarged[..., None], channels, axis=-1)
    return Pictures(images, digits.target, tuple(str(name) for name in digits.target_names))
