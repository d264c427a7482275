"""A run ends where its loss, or a weight, is no finite number."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .state import Record


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
