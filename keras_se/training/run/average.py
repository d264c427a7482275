"""The moving average of the weights, which is validated and saved in their place."""

import contextlib

import keras
import numpy as np

from ..distributed.assign import assign


def inner_optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer of a compiled model, without the loss scaling of mixed_float16."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


@contextlib.contextmanager
def averaged(model: keras.Model):
    """Have the moving average in the model, where the optimizer keeps one; then go back.

    Bit for bit, where `keras.callbacks.SwapEMAWeights` adds and subtracts on TensorFlow.
    """
    optimizer = inner_optimizer(model)
    if not optimizer.use_ema or not optimizer.built:
        yield
        return
    pairs = list(
        zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True)
    )
    # Copies: on JAX a step gives the arrays of the model away, and two variables must not
    # hold the same one.
    kept = [np.array(keras.ops.convert_to_numpy(variable)) for variable, _ in pairs]
    for variable, average in pairs:
        assign(variable, np.array(keras.ops.convert_to_numpy(average)))
    try:
        yield
    finally:
        for (variable, _), value in zip(pairs, kept, strict=True):
            assign(variable, value)


class Average(keras.callbacks.Callback):
    """Validate with the moving average of the weights."""

    def on_test_begin(self, logs=None):
        self._context = averaged(self.model)
        self._context.__enter__()

    def on_test_end(self, logs=None):
        self._context.__exit__(None, None, None)
