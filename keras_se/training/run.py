"""One call from a folder of pictures to a trained network: `fit`."""

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from ..applications import ImageModel
from ..applications.preprocessing import IMAGENET
from . import pipeline
from .callbacks import FreezeBatchNorm
from .distributed.batch_norm import synchronised
from .distributed.devices import on_devices
from .distributed.group import Group, this_group
from .distributed.validation import Validate
from .fit_callbacks import STATE, Average, Callbacks, Checkpoint, Progress, StopOnNaN, save_model
from .fit_compile import Stage, compile_stage, make_loss
from .fit_order import numbers_of_step, steps_per_epoch
from .fit_resolve import build, check_installed, resolve
from .fit_results import RESULTS, predict, write_results
from .run_folder import LAST, TENSORBOARD, begin_run, open_run
from .settings import FitSettings
from .source import Source
from .sources import load_sources
from .state import Record, inner_optimizer, load_variables, save_state
from .torch_seed import TorchSeed


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
            their name: each (images, labels), or a finite `tf.data.Dataset` of them, in batches
            or not; images are uint8 (n, h, w, 3), or floats in [0, 255], which are rounded,
            and labels integers. Without `validation` a part of `training` is set aside. They
            stay in memory; a run that is to be resumed needs them in the same order.
        callbacks: further ones, called before the state is saved. A run that one of them stops
            (`EarlyStopping`) is complete. What they count themselves, such as its patience,
            begins anew when a run is resumed.

    Returns:
        The `History` of all epochs, those before a restart too; `history.model` is the model,
        as last.keras holds it.

    Raises:
        BlockingIOError: if another process is training into `output`.
        FileExistsError: if `output` holds a run with other settings or other pictures.
        ImportError: for event files, if TensorBoard is not installed.
        NotFiniteError: if the loss is not a finite number.
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
            run = _Run(settings, model, training, validation, record, *more)
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


@dataclass
class _Run:
    """A run of `fit`, from where its record is."""

    settings: FitSettings
    model: keras.Model
    training: Source
    validation: Source
    record: Record
    callbacks: tuple
    group: Group
    replicas: int

    def __post_init__(self):
        self.steps = steps_per_epoch(len(self.training), self.settings)
        # A model of the caller without a normalisation of its own takes ImageNet's.
        own = isinstance(self.model, ImageModel) or hasattr(self.model, "preprocess")
        self.preprocess = self.model.preprocess if own else IMAGENET
        self.validate = Validate(self) if self.replicas > 1 else None
        classes = len(self.training.class_names)
        size = self.settings.image_size
        expected = (None, size, size, 3), (None, classes)
        if (self.model.input_shape, self.model.output_shape) != expected:
            raise ValueError(
                f"The network must map {expected[0]} to {expected[1]}, by the settings and the "
                f"pictures' classes. Received: {self.model.name!r} from {self.model.input_shape} "
                f"to {self.model.output_shape}"
            )
        make_loss(self.model, self.settings)  # before the folder is cleared, too

    def stages(self) -> list[Stage]:
        """The classifier alone, where that is asked for, and the whole network."""
        head, epochs = self.settings.head_epochs, self.settings.resolved_epochs
        ranges = [(0, head, True)] * bool(head) + [(head, epochs, False)]
        return [Stage(index, *one) for index, one in enumerate(ranges)]

    def train(self):
        """Do the steps that are left, stage by stage; an epoch begun is a part of its own."""
        epochs = self.settings.resolved_epochs
        for stage in self.stages():
            if self.record.steps >= stage.end * self.steps and stage.end < epochs:
                continue
            compile_stage(self.model, self.settings, stage, self.steps)
            self.resume(stage)
            while self.record.steps < stage.end * self.steps and not self.record.stopped:
                self.fit_part(stage)
                if self.record.stopped:
                    self.keep_stopped()
                    return
                # `model.fit` ends with the average in the weights; the file has both.
                self.resume(stage)
            if self.record.left_as_stopped:
                return
            if self.record.stopped:
                break
        inner_optimizer(self.model).finalize_variable_values(self.model.trainable_variables)

    def keep_stopped(self):
        """Save what a callback that has ended the run left, such as weights it has put back."""
        self.record.left_as_stopped = True
        if self.group.writes:
            save_state(self.settings.output / STATE, self.model, self.record)

    def resume(self, stage: Stage):
        """Load the last state; the optimizer's only if it is of this stage."""
        state = self.group.file_of_first(self.settings.output / STATE)
        if state is not None:
            same = self.record.stage == stage.index
            load_variables(state, self.model, ("model", "optimizer") if same else ("model",))
        self.record.stage = stage.index

    def fit_part(self, stage: Stage):
        epoch, done = divmod(self.record.steps, self.steps)
        batches = pipeline.training_batches(
            self.training,
            self.settings,
            self.preprocess,
            first_step=self.record.steps,
            rank=self.group.rank,
            world=self.group.world,
        )
        frozen = self.settings.frozen_epochs
        freeze = FreezeBatchNorm(frozen) if frozen else None
        with warnings.catch_warnings():
            # The number of readable validation pictures is not known before they are read.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            try:
                self.model.fit(
                    batches,
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else stage.end,
                    steps_per_epoch=self.steps - done,
                    validation_data=None if self.validate else self.validation_batches(),
                    callbacks=self.callback_list(freeze),
                    shuffle=False,
                    verbose=0,
                )
            finally:
                if freeze:
                    freeze.restore()

    def validation_batches(self):
        return pipeline.validation_batches(self.validation, self.settings, self.preprocess)

    def callback_list(self, freeze: FreezeBatchNorm | None) -> Callbacks:
        """In their order; a list of ours, since parts of a run know all its epochs."""
        settings, record = self.settings, self.record
        watch = StopOnNaN(record, self.pictures_of_step)
        unreadable = (self.training.unreadable, self.validation.unreadable)
        callbacks = [watch, self.validate or Average()]
        if keras.backend.backend() == "torch":
            callbacks.append(TorchSeed(record, settings.seed))
        if freeze:
            callbacks.append(freeze)
        callbacks.append(Progress(record, settings.batch_size, settings.verbose))
        if settings.tensorboard:
            callbacks.append(keras.callbacks.TensorBoard(str(settings.output / TENSORBOARD)))
        callbacks += self.callbacks
        callbacks.append(
            Checkpoint(
                record, watch, settings.output, settings.checkpoint_steps, unreadable, self.group
            )
        )
        return Callbacks(
            callbacks, add_history=True, model=self.model, epochs=settings.epochs, steps=self.steps
        )

    def pictures_of_step(self, step: int) -> list[str]:
        numbers = numbers_of_step(self.training, self.settings, step)
        return [self.training.name(number) for number in numbers]

    def finish(self):
        """The last model and the results; nothing that is there."""
        output = self.settings.output
        if not self.group.there(output / LAST):
            save_model(self.model, output / LAST, self.group)
        if not self.group.there(output / RESULTS):
            labels, predictions = self.predict()
            self.record.add_unreadable(self.group, self.validation.unreadable)
            if self.group.writes:
                write_results(
                    self.model, labels, predictions, self.validation, self.record, self.settings
                )
        self.group.gather("finished")  # no process leaves before the files are written

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted classes of the validation pictures."""
        if self.validate:
            return self.validate.predict()[:2]
        return predict(self.model, self.validation_batches())

    def history(self) -> keras.callbacks.History:
        history = keras.callbacks.History()
        history.set_model(self.model)
        rows = self.record.history
        history.epoch = [row["epoch"] - 1 for row in rows]
        names = [name for name in rows[0] if name != "epoch"]
        history.history = {name: [row.get(name) for row in rows] for name in names}
        return history
