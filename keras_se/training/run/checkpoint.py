"""The state, the log and the best model, kept while a run trains."""

import csv

import keras

from ...files import replacing
from ..distributed.assign import undistributed
from ..distributed.batch_norm import synchronised
from ..distributed.group import Group
from .average import averaged
from .finite import StopOnNaN
from .folder import BEST, LOG, STATE
from .state import Record, load_metrics, save_state


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
