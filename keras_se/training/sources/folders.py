"""Pictures in folders by class, and the folders that hold those to validate with."""

from pathlib import Path

import numpy as np

from ...picture_folders import check_outside, class_folders, picture_files
from ...picture_reading import open_picture
from ..picture_files import find_pictures
from .source import Source

TRAINING = "train"
HELD_OUT = ("val", "valid", "validation", "test")  # the first that has classes


def folder_pictures(directory: Path, output: Path) -> tuple[Source, Source | None]:
    """The pictures of a folder by class; where it has train/ and one of `HELD_OUT`, of both.

    Args:
        directory: the folder.
        output: of the run, which must not lie among the pictures.

    Returns:
        The training pictures and the validation pictures, or None in the place of these.

    Raises:
        ValueError: if there is no such folder, or its classes cannot be trained with.
    """
    training = directory / TRAINING
    if not training.is_dir():
        return _files(directory, output), None
    beside = [directory / name for name in HELD_OUT if (directory / name).is_dir()]
    validation = next(filter(class_folders, beside), None)
    if validation is None:
        if not beside and picture_files(training):  # a class, of locomotives
            return _files(directory, output), None
        raise ValueError(
            f"Beside train/ there must be one of {', '.join(f'{name}/' for name in HELD_OUT)}, "
            "with the same classes; or give train/ itself, of which a part is set aside. "
            f"Received: data={str(directory)!r} with "
            f"{[folder.name for folder in class_folders(directory)]}"
        )
    sources = _files(training, output, directory), _files(validation, output, directory)
    if sources[0].class_names != sources[1].class_names:
        raise ValueError(
            f"train/ and {validation.name}/ must hold the same classes. Received: "
            f"{sorted(set(sources[0].class_names) ^ set(sources[1].class_names))} in one only, "
            f"of data={str(directory)!r}"
        )
    return sources


def _files(directory: Path, output: Path, data: Path | None = None) -> Source:
    """The pictures of a folder; messages call them by their path from `data`, or from there."""
    check_outside(output, directory)
    files = find_pictures(directory)
    paths = [path for of_class in files.values() for path in of_class]
    labels = [label for label, of_class in enumerate(files.values()) for _ in of_class]
    return Source(
        read=lambda number: np.asarray(open_picture(paths[number], "RGB")),
        labels=np.array(labels),
        class_names=tuple(files),
        name=lambda number: paths[number].relative_to(data or directory).as_posix(),
        identity=lambda number: paths[number].relative_to(directory).as_posix(),
    )
