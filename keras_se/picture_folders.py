"""Folders of pictures: one folder for each class, its pictures in it, and what is passed over."""

import os
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg")  # in upper or lower case


def class_folders(directory: Path) -> list[Path]:
    """The folders in a folder, by name, without .ipynb_checkpoints and the like.

    Raises:
        OSError: if `directory` is no folder.
    """
    return [Path(entry) for entry in _visible(directory) if entry.is_dir()]


def picture_files(folder: Path) -> list[Path]:
    """The pictures that lie in a folder itself, by name, without ._a.jpg and the like.

    A link to nothing is one of them, for whoever reads it to say so.

    Raises:
        OSError: if `folder` is no folder.
    """
    return [
        Path(entry)
        for entry in _visible(folder)
        if entry.name.lower().endswith(SUFFIXES) and not entry.is_dir()
    ]


def check_outside(output: Path, data: Path) -> None:
    """Raise ValueError if an output folder is one of pictures, or lies within it."""
    if output.resolve().is_relative_to(data.resolve()):
        raise ValueError(
            "`output` must not lie within the folder of pictures, where the next run would take "
            f"it for a class. Received: output={str(output)!r}, data={str(data)!r}"
        )


def _visible(folder: Path) -> list[os.DirEntry]:
    """What a folder holds, by name; entries know what they are without asking the disk again."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry for entry in entries if not entry.name.startswith(".")),
            key=lambda entry: entry.name,
        )
