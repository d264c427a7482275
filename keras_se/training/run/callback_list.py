"""Keras' list of callbacks, without waiting for the device at every step."""

import keras


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
