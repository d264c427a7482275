"""Picture files: found in the folders of their classes, opened upright, brought to a size."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..picture_folders import SUFFIXES, class_folders, picture_files
from ._arguments import check_positive_int

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name


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


def read_picture(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """One picture file as uint8 of shape (height, width, channels)."""
    return resized(open_picture(path, MODES[channels]), size).reshape(*size, channels)


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


def resized(picture, size: tuple[int, int]) -> np.ndarray:
    """A Pillow picture as an array of (height, width, ...) pixels, antialiased."""
    height, width = size
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def check_size(image_size) -> tuple[int, int]:
    """(height, width) from an int or a pair."""
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise ValueError(f"`image_size` must be one or two integers. Received: {image_size!r}")
    for pixels in size:
        check_positive_int("image_size", pixels)
    return size
