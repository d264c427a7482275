"""Labelled pictures in memory: a user's own folders, and digits that need no download."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..picture_folders import SUFFIXES, class_folders, picture_files
from ._arguments import check_positive_int

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name


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
    size = _check_size(image_size)
    if channels not in MODES:
        raise ValueError(
            f"`channels` must be one of {list(MODES)}. Received: channels={channels!r}"
        )
    check_positive_int("max_size_bytes", max_size_bytes)
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
        images[index] = _read(path, size, channels)
    return Pictures(images, np.array(labels), tuple(files))


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
    size = _check_size(image_size)
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}")
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError('load_digits needs scikit-learn: pip install "keras-se[demo]"') from error
    digits = datasets.load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), from 0 to 16
    enlarged = np.stack([_resize(Image.fromarray(digit), size) for digit in grey])
    images = np.repeat(enlarged[..., None], channels, axis=-1)
    return Pictures(images, digits.target, tuple(str(name) for name in digits.target_names))


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


def _check_size(image_size) -> tuple[int, int]:
    """(height, width) from an int or a pair."""
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise ValueError(f"`image_size` must be one or two integers. Received: {image_size!r}")
    for pixels in size:
        check_positive_int("image_size", pixels)
    return size


def find_pictures(directory: Path) -> dict[str, list[Path]]:
    """The picture files of every class, both in sorted order."""
    if not directory.is_dir():
        raise ValueError(f"There is no such folder. Received: directory={str(directory)!r}")
    folders = class_folders(directory)
    if len(folders) < 2:
        raise ValueError(
            "A folder of pictures needs a folder for each of at least two classes. "
            f"Received: directory={str(directory)!r} with {[folder.name for folder in folders]}"
        )
    files = {folder.name: picture_files(folder) for folder in folders}
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(
            f"Every class needs pictures ({', '.join(SUFFIXES)}). "
            f"Received: none in {empty} of directory={str(directory)!r}"
        )
    return files


def _read(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """One picture file as uint8 of shape (height, width, channels)."""
    return _resize(open_picture(path, MODES[channels]), size).reshape(*size, channels)


def open_picture(file: Path | BinaryIO, mode: str, name: str = "") -> Image.Image:
    """A picture file, upright, in a mode of Pillow; `name` is what messages call it.

    Raises:
        ValueError: if it cannot be read (with its name) or has more than 8 bits per channel.
    """
    name = name or str(file)
    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, ...
        raise ValueError(f"Cannot read the picture {name!r}: {error}") from error
    if picture.mode.startswith(("I", "F")):  # convert() would clip them at 255
        raise ValueError(
            "Pictures must have 8 bits per channel. "
            f"Received: {name!r} of Pillow's mode {picture.mode!r}"
        )
    return picture.convert(mode)


def _resize(picture, size: tuple[int, int]) -> np.ndarray:
    """A Pillow picture as an array of (height, width, ...) pixels, antialiased."""
    height, width = size
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
