"""Picture files: opened upright, in a mode of Pillow, brought to a size."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name


def read_picture(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """One picture file as uint8 pixels of a shape (h, w, c), whatever its aspect ratio.

    Raises:
        ValueError: as `open_picture`.
    """
    height, width, channels = shape
    return resized(open_picture(path, MODES[channels]), (height, width)).reshape(shape)


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


def resized(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """A picture as uint8 pixels (height, width, ...): bicubic, antialiased.

    >>> resized(Image.new("RGB", (64, 48)), (24, 32)).shape
    (24, 32, 3)
    """
    height, width = size
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
