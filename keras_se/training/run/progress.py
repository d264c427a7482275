"""What a run shows of its steps and epochs."""

import time

import keras

from .average import inner_optimizer
from .state import Record


class Progress(keras.callbacks.Callback):
    """Keras' bar, or a line per epoch, with pictures per second and the time that is left.

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
            left = self._left(epoch + 1)
            print(f"Epoch {epoch + 1}/{self.params['epochs']}: {line}{left}", flush=True)

    def _left(self, epoch: int) -> str:
        """What the epochs from this one on take, by the last whole one."""
        epochs = self.params["epochs"] - epoch
        if self._epoch_seconds is None or not epochs:
            return ""
        minutes = self._epoch_seconds * epochs / 60
        return f" (about {minutes:.0f} min left)" if minutes >= 1.5 else " (about a minute left)"
