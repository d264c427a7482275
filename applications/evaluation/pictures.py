"""Folders of pictures, read and prepared as for the published figures.

The resize and the crop are those of torchvision and timm, which published the figures:
Pillow's filter, the short side to floor(size / crop), then the centre.
https://github.com/pytorch/vision/blob/main/torchvision/transforms/functional.py
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...picture_folders import class_folders, picture_files
from ...picture_reading import open_picture

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def resize_and_crop(
    picture: Image.Image, size: int, crop: float = 0.875, interpolation: str = "bicubic"
) -> np.ndarray:
    """The centre of a resized picture, as in torchvision.

    Args:
        picture: any of Pillow's.
        size: side of the result, in pixels.
        crop: part of the resized picture's short side that this is, in (0, 1].
        interpolation: "bicubic" or "bilinear".

    Returns:
        uint8 array of shape (size, size, 3).

    >>> resize_and_crop(Image.new("L", (64, 48)), 32).shape
    (32, 32, 3)
    """
    picture = picture.convert("RGB")
    short_side = math.floor(size / crop)
    scaled = [int(short_side * side / min(picture.size)) for side in picture.size]
    scaled[picture.size.index(min(picture.size))] = short_side
    picture = picture.resize(scaled, FILTERS[interpolation])
    left, top = (round((side - size) / 2) for side in scaled)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


@dataclass(frozen=True)
class Loader:
    """Reads a picture and prepares it."""

    size: int
    crop: float
    interpolation: str

    def __call__(self, path: Path) -> np.ndarray:
        picture = open_picture(path, "RGB")
        return resize_and_crop(picture, self.size, self.crop, self.interpolation)


def batches(files, start, batch_size, load) -> Iterator[tuple[int, np.ndarray]]:
    """Where a batch starts and its pictures; the next one is read meanwhile."""
    with ThreadPoolExecutor() as pool:
        ahead = pool.map(load, files[start : start + batch_size])
        for first in range(start, len(files), batch_size):
            batch, after = ahead, first + batch_size
            ahead = pool.map(load, files[after : after + batch_size])
            yield first, np.stack(list(batch))


def check_folder(folder: Path) -> None:
    """Raise unless there are folders in a folder, before weights are fetched for them."""
    if not folder.is_dir():
        raise ValueError(f"No such folder of pictures. Received: data={str(folder)!r}")
    if not class_folders(folder):
        raise ValueError(
            f"`data` needs a folder of pictures for each class. Received: data={str(folder)!r}, "
            "which holds no folders"
        )


def find_pictures(folder: Path, classes: int, class_names) -> tuple[list[Path], np.ndarray]:
    """The pictures below the classes' folders, and the number of each one's class."""
    there = [inner.name for inner in class_folders(folder)]
    names = there if class_names is None else list(class_names)
    unknown = sorted(set(there) - set(names))
    if len(names) != classes or unknown:
        other = f", {unknown[0]!r} not among the names" if unknown else ""
        raise ValueError(
            f"The network has {classes} classes; `data` needs a folder for each of them, or "
            f"`class_names` all of their names. Received: data={str(folder)!r} with {len(there)} "
            f"folders, class_names={None if class_names is None else len(names)}{other}"
        )
    files = [(path, names.index(name)) for name in there for path in picture_files(folder / name)]
    if not files:
        raise ValueError(f"There are no pictures. Received: data={str(folder)!r}")
    return [path for path, _ in files], np.array([label for _, label in files])
