"""Where the pictures of a run come from, by its settings."""

from pathlib import Path

import numpy as np

from ..picture_folders import class_folders, picture_files
from ..picture_reading import open_picture
from .picture_files import find_pictures
from .settings import FitSettings
from .source import Source
from .source_arrays import CLASS_NAMES, keras_dataset, npz_file
from .source_given import given_pictures
from .source_tfds import tfds_pictures


def load_sources(settings: FitSettings, training=None, validation=None) -> tuple[Source, Source]:
    """The training and the validation pictures of a run.

    Args:
        settings: names them in `data`, and what part to set aside where there is but one.
        training, validation: pictures in place of `data`; see `fit`.

    Raises:
        ValueError: if they are nothing that can be read, or none of either can be.
        ImportError: if they need tensorflow_datasets, which is not installed.
    """
    if training is not None:
        kept, aside = given_pictures(training, validation)
    elif validation is None:
        kept, aside = _named(settings)
    else:
        raise ValueError("`validation` pictures need `training` ones beside them")
    if aside is None:
        kept, aside = kept.split(settings.validation, settings.seed)
    for source in (kept, aside):
        source.read_or_next(0)  # one at least, or the run would fail after its first epoch
    return kept, aside


def _named(settings: FitSettings) -> tuple[Source, Source | None]:
    data = settings.data
    if data in CLASS_NAMES:
        return keras_dataset(data)
    if data.startswith("tfds:"):
        return tfds_pictures(data.removeprefix("tfds:"), silent=settings.verbose == 0)
    if data.endswith(".npz"):
        return npz_file(Path(data))
    return _folder(Path(data), settings.output)


def _folder(directory: Path, output: Path) -> tuple[Source, Source | None]:
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
