"""Dropout on PyTorch, which Keras draws from PyTorch's own random numbers."""

import keras

from .state import Record


class TorchSeed(keras.callbacks.Callback):
    """Begin every step with random numbers that follow from the seed and the step.

    On the other backends dropout draws from Keras' seed generators, which are a part of the
    state of a run; PyTorch's kernel for dropout takes no seed, and Keras uses it where a layer
    was given none. Without this a run that was broken off ends with other weights.
    """

    def __init__(self, record: Record, seed: int):
        super().__init__()
        self.record, self.seed = record, seed

    def on_train_batch_begin(self, batch, logs=None):
        import torch

        torch.manual_seed(self.seed * 2**32 + self.record.steps)
