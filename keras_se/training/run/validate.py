"""Validation on several devices, where the last batch would be too small to be shared."""

import keras
import numpy as np

from .. import pipeline
from ..pipeline.order import numbers_of_part
from .average import averaged
from .stage import make_loss


class Validate(keras.callbacks.Callback):
    """Add `val_loss` and `val_accuracy` to the logs of an epoch, over all pictures at once.

    Every process predicts its own part of the pictures, in batches that are filled up with
    black ones, which are not counted; the results are those of one device (without the
    penalties of regularisers, which the networks of this library do not have). A process among
    others does so with a copy of the network on its own devices, since of a network that is
    on all of them it could not read what the others predict.

    Args:
        run: with `model`, `settings`, `validation`, `preprocess` and `group`.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run
        self._copy = None
        self._numbers = numbers_of_part(len(run.validation), run.group.rank, run.group.world)
        self._batches = pipeline.part_batches(
            run.validation,
            run.settings,
            run.preprocess,
            self._numbers,
            run.settings.batch_size // run.group.world,
        )

    def on_epoch_end(self, epoch, logs=None):
        with averaged(self.model):
            labels, predictions, losses = self.predict()
        logs["val_accuracy"] = float((labels == predictions).mean())
        logs["val_loss"] = float(losses.mean(dtype="float64"))

    def predict(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """True and predicted classes, and losses, of all readable pictures."""
        run, group, numbers = self.run, self.run.group, self._numbers
        scores = self._scores(self._batches)[: len(numbers)]
        labels = np.where(numbers < len(run.validation), numbers, 0)
        labels = run.validation.labels[labels].astype("int32")
        one_hot = np.eye(scores.shape[-1], dtype="float32")[labels]
        losses = keras.ops.convert_to_numpy(
            make_loss(run.model, run.settings).call(one_hot, scores)
        )
        shown = [
            number < len(run.validation)
            and run.validation.name(number) not in run.validation.unreadable
            for number in numbers.tolist()
        ]
        parts = (labels, scores.argmax(axis=1).astype("int32"), losses, np.array(shown))
        *gathered, kept = (group.gather_arrays(part).reshape(-1) for part in parts)
        return tuple(part[kept] for part in gathered)

    def _scores(self, batches) -> np.ndarray:
        if self.run.group.world == 1:
            return self.run.model.predict(batches, verbose=0)
        with _own_devices().scope():
            if self._copy is None:
                model = self.run.model
                self._copy = type(model).from_config(model.get_config())
            self._copy.set_weights(self.run.model.get_weights())
            return self._copy.predict(batches, verbose=0)


def _own_devices() -> keras.distribution.DataParallel:
    import jax

    names = [f"{device.platform}:{device.id}" for device in jax.local_devices()]
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
