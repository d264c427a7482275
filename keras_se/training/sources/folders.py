"""Pictures in folders by class, and the folders that hold those to validate with."""

from pathlib import Path

import numpy as np

from ...picture_folders import class_folders, picture_files
from ..picture_files import find_pictures, open_picture
from .source import Source


def folder_pictures(directory: Path, output: Path) -> tuple[Source, Source | None]:
    training, validation = directory / "train", directory / "val"
    if not (training.is_dir() and validation.is_dir()):
        if training.is_dir() and class_folders(training) and not picture_files(training):
            raise ValueError(
                "Beside train/ there must be val/, with the same classes; or give train/ itself, "
                f"of which a part is set aside. Received: data={str(directory)!r} with "
                f"{[folder.name for folder in class_folders(directory)]}"
            )
        return _files(directory, output), None
    sources = _files(training, output, directory), _files(validation, output, directory)
    if sources[0].class_names != sources[1].class_names:
        raise ValueError(
            "train/ and val/ must hold the same classes. Received: "
            f"{sorted(set(sources[0].class_names) ^ set(sources[1].class_names))} in one only, "
            f"of data={str(directory)!r}"
        )
    return sources


def _files(directory: Path, output: Path, data: Path | None = None) -> Source:
    """The pictures of a folder; messages call them by their path from `data`, or from there."""
    if output.resolve().is_relative_to(directory.resolve()):
        raise ValueError(
            "`output` must not lie within the folder of pictures, where the next run would take "
            f"it for a class. Received: output={str(output)!r}, data={str(directory)!r}"
        )
    files = find_pictures(directory)
    paths = [path for of_class in files.values() for path in of_class]
    labels = [label for label, of_class in enumerate(files.values()) for _ in of_class]
    return Source(
        read=lambda number: np.asarray(open_picture(paths[number], "RGB")),
        labels=np.array(labels),
        class_names=tuple(files),
        name=lambda number: str(paths[number].relative_to(data or directory)),
        identity=lambda number: str(paths[number].relative_to(directory)),
    )
