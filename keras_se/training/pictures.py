"""Labelled pictures in memory, and the part of them that is set aside."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..layers._common import check_count
from ..picture_reading import MODES, read_picture
from .picture_files import check_size, find_pictures


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures with their labels.

    Attributes:
        images: uint8 array of shape (n, height, width, channels), pixels in [0, 255].
        labels: integer array of shape (n,), indices into `class_names`.
        class_names: tuple of str.

    Raises:
        ValueError: if dtypes, shapes or labels do not fit together.

    >>> pictures = Pictures(np.zeros((2, 8, 8, 3), "uint8"), np.array([0, 1]), ("cat", "dog"))
    >>> len(pictures)
    2
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self):
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                "`images` must be uint8 of shape (n, height, width, channels). "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"`labels` must be {len(images)} integers, one per picture. "
                f"Received: {labels.dtype} of shape {labels.shape}"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise ValueError(
                f"`labels` must be in [0, {len(self.class_names)}), the number of class names. "
                f"Received: labels from {labels.min()} to {labels.max()}"
            )

    def __len__(self):
        return len(self.images)


def pictures_from_directory(
    directory, image_size, channels: int = 3, max_size_bytes: int = 4 * 2**30
) -> Pictures:
    """Read a folder of pictures: one folder per class, named as the class.

    Classes and files come in sorted order. PNG and JPEG files are read, in upper or lower
    case; other files, hidden ones and folders within a class are passed over. A picture is
    turned upright by its EXIF tag, converted, and resized (bicubic, antialiased) to
    `image_size`, whatever its aspect ratio. For sets that do not fit in memory there is
    `keras.utils.image_dataset_from_directory`.

    Args:
        directory: path.
        image_size: int, or (height, width), in pixels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        max_size_bytes: int, refuse to make a larger array; nothing is read then.

    Returns:
        `Pictures`.

    Raises:
        ValueError: if an argument is out of its range; if `directory` is no folder, holds fewer
            than two classes or a class without pictures; if the pictures would take more than
            `max_size_bytes`; if a picture cannot be read (with its name) or has more than 8
            bits per channel.
    """
    size = check_size(image_size)
    if channels not in MODES:
        raise ValueError(
            f"`channels` must be one of {list(MODES)}. Received: channels={channels!r}"
        )
    check_count("max_size_bytes", max_size_bytes)
    files = find_pictures(Path(directory))
    labels = [label for label, paths in enumerate(files.values()) for _ in paths]
    shape = (len(labels), *size, channels)
    size_bytes = math.prod(shape)
    if size_bytes > max_size_bytes:
        raise ValueError(
            f"{shape[0]} pictures of shape {shape[1:]} take {size_bytes} bytes; "
            "take a smaller image_size, or keras.utils.image_dataset_from_directory. "
            f"Received: max_size_bytes={max_size_bytes}"
        )
    images = np.empty(shape, np.uint8)
    for index, path in enumerate(path for paths in files.values() for path in paths):
        images[index] = read_picture(path, shape[1:])
    return Pictures(images, np.array(labels), tuple(files))


def split(pictures: Pictures, fraction: float = 0.2, seed: int = 0) -> tuple[Pictures, Pictures]:
    """Set a fraction of every class aside, for validation.

    The number set aside of a class is rounded, but at least 1 and never all. Both parts keep
    the order of the pictures; the same seed makes the same split on every machine.

    Args:
        pictures: `Pictures` with at least 2 of every class.
        fraction: float in (0, 1), the part that is set aside.
        seed: int.

    Returns:
        (kept, set aside), each `Pictures` with all class names.

    Raises:
        ValueError: if `fraction` is out of its range, or a class has fewer than 2 pictures.

    >>> from keras_se.training import load_digits
    >>> training, validation = split(load_digits(), fraction=0.2, seed=0)
    >>> len(training), len(validation)
    (1438, 359)
    """
    aside = set_aside(pictures.labels, pictures.class_names, fraction, seed)
    kept, set_apart = (
        Pictures(pictures.images[part], pictures.labels[part], pictures.class_names)
        for part in (~aside, aside)
    )
    return kept, set_apart


def set_aside(labels: np.ndarray, class_names, fraction: float, seed: int) -> np.ndarray:
    """Which pictures `split` sets aside: booleans of shape (n,)."""
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must be in (0, 1). Received: fraction={fraction!r}")
    generator = np.random.default_rng(seed)
    aside = np.zeros(len(labels), bool)
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise ValueError(
                "Every class needs at least 2 pictures to be split. "
                f"Received: {len(members)} of class {name!r}"
            )
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        aside[generator.permutation(members)[:count]] = True
    return aside
