"""Callbacks for `model.fit`."""

import keras

from ..layers._common import check_count


class FreezeBatchNorm(keras.callbacks.Callback):
    """Freeze BatchNorm's statistics for the last epochs of a run.

    In those epochs every BatchNormalization, inside other layers and models too, normalises
    with its moving mean and variance and leaves them as they are, so that the other weights
    learn against the very statistics that inference uses. gamma and beta go on learning.

    "The parameters of all BN layers were frozen for the last few training epochs to ensure
    consistency between training and testing" (Hu et al., appendix on SENet-154,
    https://arxiv.org/abs/1709.01507). In the Caffe files of the authors a BatchNorm layer
    holds the statistics only; the affine map is a Scale layer of its own
    (https://github.com/hujie-frank/SENet/blob/master/models/SENet-154.prototxt).

    The list of trainable weights stays the same, and with it the state of the optimizer, on
    every backend. Between epochs and after the run every `trainable` flag is as it was before:
    a file saved then, by a ModelCheckpoint after this callback in the list, says nothing of
    the freezing. The step function is built anew when freezing begins and after the run. A
    BatchNormalization that was not trainable before is left alone.

    Args:
        last_epochs: int >= 1 and less than the epochs of the run.

    Raises:
        ValueError: if `last_epochs` is no positive integer; when the run begins, if it has no
            more than `last_epochs` epochs, since the statistics would then never be learnt.
            (To train against the statistics that a model has, set `trainable = False`.)

    If a run is interrupted within a frozen epoch (Ctrl-C), call `restore()`.

    >>> import numpy as np
    >>> norm = keras.layers.BatchNormalization()
    >>> model = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(2)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=3, verbose=0,
    ...                     callbacks=[FreezeBatchNorm(last_epochs=2)])
    >>> round(float(norm.moving_mean[0]), 4)  # one step of 1 - 0.99, not three
    0.01
    """

    def __init__(self, last_epochs: int):
        super().__init__()
        check_count("last_epochs", last_epochs)
        self.last_epochs = last_epochs
        self._frozen: list[keras.layers.Layer] = []
        self._rebuilt = False

    def on_train_begin(self, logs=None):
        self.restore()
        if self.last_epochs >= self.params["epochs"]:
            raise ValueError(
                f"FreezeBatchNorm(last_epochs={self.last_epochs}) needs a run of more than "
                f"{self.last_epochs} epochs. Received: epochs={self.params['epochs']}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        if epoch < self.params["epochs"] - self.last_epochs:
            return
        # Keras has no public walk through the layers inside layers.
        self._frozen = [
            layer
            for layer in self.model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        for layer in self._frozen:
            _set_trainable(layer, False)
        if not self._rebuilt:
            self.model.make_train_function(force=True)
            self._rebuilt = True

    def on_epoch_end(self, epoch, logs=None):
        self._unfreeze()

    def on_train_end(self, logs=None):
        self.restore()

    def restore(self):
        """Undo the freezing, after a run that was interrupted."""
        self._unfreeze()
        if self._rebuilt:
            self.model.make_train_function(force=True)
            self._rebuilt = False

    def _unfreeze(self):
        for layer in self._frozen:
            _set_trainable(layer, True)
        self._frozen = []


def _set_trainable(layer, value: bool):
    """Set a layer's own flag (inference mode, for BatchNorm) without those of its variables."""
    flags = [(variable, variable.trainable) for variable in layer.variables]
    layer.trainable = value
    for variable, trainable in flags:
        variable.trainable = trainable
