"""One call from a folder of pictures to a trained network: `fit`."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import keras

from ...applications import ImageModel
from ..distributed.batch_norm import synchronised
from ..distributed.devices import on_devices
from ..distributed.group import this_group
from ..settings import FitSettings
from ..sources import load_sources
from .folder import LAST, begin_run, open_run
from .resolve import build, check_installed, resolve
from .run import Run


def fit(
    settings: FitSettings,
    *,
    model: keras.Model | None = None,
    training=None,
    validation=None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Train a classifier; resume where a run with the same settings was interrupted.

    In `settings.output` it leaves settings.toml (all settings, as they were resolved),
    state.npz (what a restart needs), log.csv, best.keras (highest validation accuracy),
    last.keras, results.json (accuracy, per class too, and the pictures that could not be
    read), and, where matplotlib is installed, curves.png and confusion.png. Networks of
    `keras_se.applications` carry the names of the classes, as `class_names`. A run that is
    complete is not repeated. Pictures that cannot be read are skipped: in training the next
    one takes the place.

    The order of the pictures, their augmentation and dropout depend on the seed and the step
    only, so that a run that was killed and started again ends with the very weights of one
    that was not, on a CPU; on a GPU as near as its convolutions repeat themselves.

    Seeds Python's, NumPy's and Keras' random numbers, for the whole process.

    On several devices, or in several processes that have called `distributed.join`, it trains
    to the same weights; see `keras_se.training.distributed`. Then a `model` of the caller must
    have been built within their strategy, or after joining, and `callbacks` run in every
    process.

    Args:
        settings: see `FitSettings` and `make_settings`.
        model: trained in place of the one that the settings name; built, with an input of
            fixed size (b, h, w, 3) and an output of (b, classes). Give a run that is to be
            resumed the same network again. Its pixels are normalised by its attribute
            `preprocess`; one without it, as of keras.applications, gets ImageNet's mean and
            deviation. Where the network normalises by itself, say so first:
            `model.preprocess = Preprocessing((0, 0, 0), (1, 1, 1))`.
        training, validation: pictures in place of those of `settings.data`, which is then but
            their name: each (images, labels), `Pictures`, or a finite `tf.data.Dataset` of
            (images, labels), in batches or not; images are uint8 (n, h, w, 3), or floats in
            [0, 255], which are rounded, and labels integers or one-hot. Without `validation` a
            part of `training` is set aside. They stay in memory; a run that is to be resumed
            needs them in the same order.
        callbacks: further ones, called before the state is saved. A run that one of them stops
            (`EarlyStopping`) is complete. What they count themselves, such as its patience,
            begins anew when a run is resumed.

    Returns:
        The `History` of all epochs, those before a restart too; `history.model` is the model,
        as last.keras holds it.

    Raises:
        BlockingIOError: if another process is training into `output`.
        FileExistsError: if `output` holds a run with other settings or other pictures, or files
            of the same names that no run has left there.
        ImportError: for event files, if TensorBoard is not installed.
        OSError: if a file cannot be written, or a data set not be downloaded.
        NotFiniteError: if the loss or a weight is not a finite number.
        RuntimeError: within a MultiWorkerMirroredStrategy.
        ValueError: for pictures or settings that cannot be used; if processes differ in them.
    """
    with on_devices(settings.devices) as replicas:
        group = this_group()
        if not group.writes:
            settings = replace(settings, verbose=0, tensorboard=False)
        check_installed(settings)
        keras.utils.set_random_seed(settings.seed)
        training, validation = load_sources(settings, training, validation)
        settings = resolve(settings, training, model, replicas)
        with open_run(group, settings, training.digest() + validation.digest()) as record:
            model = model or build(settings, len(training.class_names))
            more = tuple(callbacks), group, replicas
            run = Run(settings, model, training, validation, record, *more)
            if isinstance(model, ImageModel):  # others have no place for names in their file
                model.class_names = training.class_names
            if group.writes and not record.steps:
                begin_run(settings)
            if settings.verbose and record.steps and not (settings.output / LAST).exists():
                print(f"resumed after {record}", flush=True)
            mirrored = replicas > 1 and keras.backend.backend() == "tensorflow"
            with synchronised(model, True) if mirrored else contextlib.nullcontext():
                run.train()
            run.finish()
            return run.history()
