"""How a layer says what it becomes in a deployed file: the `lower` method.

A converted file runs best on a handful of operators. A layer that is more than
one of them implements `lower(inputs, name)`, which builds the same computation
from primitive Keras layers, with its own trained weights, on symbolic tensors.
Any layer may do so, not only ours; `keras_se.tflite` looks for the method.
"""

from typing import Any, Protocol, runtime_checkable

import keras


@runtime_checkable
class Lowerable(Protocol):
    """A layer that can rebuild itself from primitive Keras layers."""

    def lower(self, inputs: Any, name: str) -> Any:
        """Build the inference form of this layer.

        Args:
            inputs: a symbolic tensor, or the list of them that `call` takes.
            name: unique prefix for the names of the layers that are made.

        Returns:
            The symbolic output: equal to `call(inputs, training=False)` in float32.
        """
        ...


def add_layer(layer: keras.layers.Layer, inputs, weights=()):
    """Apply a new primitive layer to symbolic inputs and give it its trained weights."""
    outputs = layer(inputs)
    if len(weights):
        layer.set_weights([keras.ops.convert_to_numpy(w) for w in weights])
    return outputs


def lower_layer(layer: keras.layers.Layer, inputs, name: str):
    """Lower one layer: by its own `lower`, or as a float32 copy with the same weights."""
    if isinstance(layer, Lowerable):
        return layer.lower(inputs, name)
    config = layer.get_config() | {"name": name, "dtype": "float32"}
    return add_layer(type(layer).from_config(config), inputs, layer.get_weights())
