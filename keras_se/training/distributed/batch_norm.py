"""BatchNorm over the whole batch, where several devices share it."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def synchronised(model: keras.Model, value: bool) -> Iterator[None]:
    """Have every BatchNormalization take its statistics over all replicas, or each its own.

    A matter of TensorFlow's MirroredStrategy; on JAX a program sees the whole batch anyway.
    Keras' option is a part of a layer's configuration, and files that have it do not load on
    other backends; so it is set for the training, and not for saving.
    """
    layers = [
        (layer, layer.synchronized)
        # Keras has no public walk through the layers inside layers.
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer, _ in layers:
        layer.synchronized = value
    try:
        yield
    finally:
        for layer, before in layers:
            layer.synchronized = before
