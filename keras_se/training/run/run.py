"""A run of `fit`: its stages, the parts between two restarts, and what it leaves."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np

from ...applications import ImageModel
from ...applications.preprocessing import IMAGENET
from .. import pipeline
from ..callbacks import FreezeBatchNorm
from ..distributed.group import Group
from ..pipeline.order import numbers_of_step, steps_per_epoch
from ..settings import FitSettings
from ..sources import Source
from .average import Average, inner_optimizer
from .callback_list import Callbacks
from .checkpoint import Checkpoint, save_model
from .finite import StopOnNaN
from .folder import LAST, RESULTS, STATE, TENSORBOARD
from .progress import Progress
from .results import predict, write_results
from .stage import Stage, Trainable, compile_stage, make_loss
from .state import Record, load_variables, save_state
from .torch_seed import TorchSeed
from .validate import Validate


@dataclass
class Run:
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
        trainable = Trainable(self.model)
        try:
            self.train_stages(trainable)
        except BaseException:
            trainable.restore()
            raise

    def train_stages(self, trainable: Trainable):
        epochs = self.settings.resolved_epochs
        for stage in self.stages():
            if self.record.steps >= stage.end * self.steps and stage.end < epochs:
                continue
            if not stage.head:
                trainable.restore()
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
        names = dict.fromkeys(name for row in rows for name in row if name != "epoch")
        history.history = {name: [row.get(name) for row in rows] for name in names}
        return history
