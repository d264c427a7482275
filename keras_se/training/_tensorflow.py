"""TensorFlow, as the data pipeline of every Keras backend."""

import contextlib

import keras


def load_tensorflow():
    """TensorFlow; where it is not Keras' backend, without the GPUs, whose memory it would take."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # the caller has used TensorFlow's GPUs already
            tf.config.set_visible_devices([], "GPU")
    return tf
