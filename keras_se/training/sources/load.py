"""Where the pictures of a run come from, by its settings."""

from pathlib import Path

from ..settings import FitSettings
from .arrays import CLASS_NAMES, keras_dataset, npz_file
from .folders import folder_pictures
from .given import given_pictures
from .source import Source
from .tfds import tfds_pictures


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
    return folder_pictures(Path(data), settings.output)
