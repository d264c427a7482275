"""What `fit` does at every step: watch the loss, show progress, keep everything."""

import csv
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ..files import replacing
from .distributed.assign import undistributed
from .distributed.batch_norm import synchronised
from .distributed.group import Group
from .state import Record, averaged, inner_optimizer, load_metrics, save_state

STATE, LOG, BEST = "state.npz", "log.csv", "best.keras"


class Callbacks(keras.callbacks.CallbackList):
    """Keras' list, which leaves a step's logs where they are: a float would wait for the device.

    Callbacks that are not of this library, and look at steps, get floats, as from Keras.
    """

    def on_train_batch_end(self, batch, logs=None):
        floats = None
        for callback in self.callbacks:
            given = logs
            if _is_foreign(callback):
                given = floats = floats or {name: float(value) for name, value in logs.items()}
            callback.on_train_batch_end(batch, logs=given)


def _is_foreign(callback) -> bool:
    """Whether a callback is neither ours nor Keras', and looks at steps."""
    kind, base = type(callback), keras.callbacks.Callback
    looks = (
        kind.on_train_batch_end is not base.on_train_batch_end
        or kind.on_batch_end is not base.on_batch_end
    )
    return looks and kind.__module__.partition(".")[0] not in ("keras", "keras_se")


class NotFiniteError(RuntimeError):
    """The loss, or a weight, is not a number, or infinite."""


class StopOnNaN(keras.callbacks.Callback):
    """Raise where the loss, or a weight to be saved, is not finite: the step and its pictures.

    The mean loss of the epoch is looked at, one step later, so that no accelerator waits; it
    is not finite from the step on in which a batch's loss is not. See `Callbacks`.
    """

    def __init__(self, record: Record, pictures: Callable[[int], list[str]]):
        super().__init__()
        self.record, self.pictures = record, pictures
        self._last: tuple[int, Any] | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self._last = epoch, None

    def on_train_batch_end(self, batch, logs=None):
        self.check()
        self._last = (self.record.steps, logs["loss"])  # counted on by Checkpoint

    def on_epoch_end(self, epoch, logs=None):
        self.check()
        self.check_weights()

    def check(self):
        """Look at the last step's loss."""
        if self._last is not None and not math.isfinite(float(self._last[1])):
            self._stop(f"The loss is {float(self._last[1])} at")

    def check_weights(self):
        """Look at the weights that the last step left, before they are saved."""
        model = self.model
        trained = map(keras.ops.convert_to_numpy, model.trainable_variables)
        others = map(keras.ops.convert_to_numpy, model.non_trainable_variables)
        # A constant of the network, such as a mask, may be infinite.
        if not all(np.isfinite(v).all() for v in trained) or any(np.isnan(v).any() for v in others):
            self._stop("Weights are not finite after")

    def _stop(self, what: str):
        step = self._last[0] if self._last else self.record.steps - 1
        names = self.pictures(step)
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise NotFiniteError(
            f"{what} step {step + 1} of the run, in epoch {self.epoch + 1}. Try a lower "
            f"base_learning_rate, a longer warmup or clip_norm=1. The batch: {shown}"
        )


class Average(keras.callbacks.Callback):
    """Validate with the moving average of the weights."""

    def on_test_begin(self, logs=None):
        self._context = averaged(self.model)
        self._context.__enter__()

    def on_test_end(self, logs=None):
        self._context.__exit__(None, None, None)


class Progress(keras.callbacks.Callback):
    """Keras' bar with pictures per second, and the time that the run has left.

    Adds `images_per_second` (without the first step, which compiles), `seconds` and
    `learning_rate` to the logs of an epoch.
    """

    def __init__(self, record: Record, batch_size: int, verbose: int):
        super().__init__()
        self.record, self.batch_size, self.verbose = record, batch_size, verbose
        self._epoch_seconds: float | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self._start, self._counted_from, self._steps = time.perf_counter(), None, 0
        self._whole = self.record.steps % self.params["steps"] == 0
        if self.verbose == 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}{self._left(epoch)}")
            self._bar = keras.utils.Progbar(
                self.params["steps"], stateful_metrics=["loss", "accuracy", "images/s"]
            )

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self._counted_from is None:  # a rate of one step alone has its compilation in it
            self._rate = self.batch_size / (now - self._start)
            self._counted_from = now
        else:
            self._steps += 1
            self._rate = self._steps * self.batch_size / (now - self._counted_from)
        if self.verbose == 1:
            done = self.record.steps % self.params["steps"] + 1
            values = [(name, logs[name]) for name in ("loss", "accuracy")]
            self._bar.update(done, [*values, ("images/s", self._rate)], finalize=False)

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._start
        if self._whole:
            self._epoch_seconds = seconds
        logs["learning_rate"] = float(inner_optimizer(self.model).learning_rate)
        logs["images_per_second"] = self._rate
        logs["seconds"] = seconds
        figures = [(name, float(value)) for name, value in logs.items()]
        if self.verbose == 1:
            shown = [
                (name, value)
                for name, value in figures
                if name not in ("seconds", "images_per_second")
            ]
            self._bar.stateful_metrics |= {name for name, _ in shown}
            self._bar.update(self.params["steps"], shown, finalize=True)
        elif self.verbose == 2:
            line = "  ".join(f"{name} {value:.4g}" for name, value in figures)
            print(f"Epoch {epoch + 1}/{self.params['epochs']}: {line}", flush=True)

    def _left(self, epoch: int) -> str:
        if self._epoch_seconds is None:
            return ""
        minutes = self._epoch_seconds * (self.params["epochs"] - epoch) / 60
        return f" (about {minutes:.0f} min left)" if minutes >= 1.5 else " (about a minute left)"


class Checkpoint(keras.callbacks.Callback):
    """Count the steps, and write the state, the log and the best model.

    The state is written last: where a run is killed before that, it does the epoch again,
    to the same end. Of several processes rank 0 writes.
    """

    def __init__(
        self, record: Record, watch: StopOnNaN, output, every: int, unreadable, group: Group
    ):
        super().__init__()
        self.record, self.watch, self.output, self.every = record, watch, output, every
        self.unreadable, self.group = unreadable, group

    def on_epoch_begin(self, epoch, logs=None):
        if self.record.steps % self.params["steps"]:  # interrupted in this epoch
            state = self.group.file_of_first(self.output / STATE)
            assert state is not None  # steps are counted on from there
            load_metrics(state, self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.record.steps += 1
        ends_epoch = self.record.steps % self.params["steps"] == 0
        if self.every and self.record.steps % self.every == 0 and not ends_epoch:
            self.watch.check()
            self.watch.check_weights()
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in logs.items()}
        self.record.history.append({"epoch": epoch + 1, **logs})
        self.record.stopped = bool(self.model.stop_training)
        if logs["val_accuracy"] > self.record.best:
            self.record.best = logs["val_accuracy"]
            with averaged(self.model):  # by all processes, since they hold it together
                save_model(self.model, self.output / BEST, self.group)
        if self.group.writes:
            write_log(self.record, self.output / LOG)
        self.save()

    def save(self):
        """Write the state."""
        self.record.add_unreadable(self.group, *self.unreadable)
        if self.group.writes:
            save_state(self.output / STATE, self.model, self.record)


def save_model(model: keras.Model, path, group: Group) -> None:
    """Save a model, by one of the processes."""
    if group.writes:
        with synchronised(model, False), undistributed(), replacing(path) as temporary:
            model.save(temporary)


def write_log(record: Record, path) -> None:
    """One line per epoch, as CSV; a column for whatever was logged in any of them."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in record.history for name in row))
        writer.writeheader()
        writer.writerows(record.history)
