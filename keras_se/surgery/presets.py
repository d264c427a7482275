"""Where attention goes by rule: what a layer is in its network.

The docstring of a rule ends an error that says that it fits no layer.
"""

from collections.abc import Callable

import keras

from ..applications.features import ends_by_level
from ..graph import is_model, nodes_in_order, readers, sole_reader
from .residual_blocks import residual_branches

NORMS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)


def depthwise(model) -> list:
    """after each depthwise convolution with its normalisation and activation."""
    reading = readers(model)
    found = []
    for node in nodes_in_order(model):
        if is_depthwise(node.operation):
            node = _follow(node, reading, NORMS)
            found.append(_follow(node, reading, is_activation))
    return found


def stage(model) -> list:
    """the last feature map of each resolution, from which all that follows is computed."""
    learned = set()  # tensors that a trainable layer has had a part in: no normalised pixels
    for node in nodes_in_order(model):
        weights = getattr(node.operation, "trainable_variables", ())
        if weights or any(id(t) in learned for t in node.input_tensors):
            learned |= {id(t) for t in node.output_tensors}
    return [
        node
        for _, node in sorted(ends_by_level(model).items())
        if id(node.output_tensors[0]) in learned and not is_model(node.operation)
    ]


def residual(model) -> list:
    """the residual branch before each addition of a residual block."""
    return residual_branches(model)


PRESETS: dict[str, Callable] = {"depthwise": depthwise, "residual": residual, "stage": stage}


def _follow(node, reading, kinds):
    """The call behind `node` if it is of these kinds and the only one to read it."""
    following = sole_reader(node, reading)
    if following is None:
        return node
    operation = following.operation
    fits = isinstance(operation, kinds) if isinstance(kinds, tuple) else kinds(operation)
    return following if fits else node


def is_depthwise(operation) -> bool:
    """Whether each channel is convolved by itself."""
    if isinstance(operation, keras.layers.DepthwiseConv2D):
        return True
    return isinstance(operation, keras.layers.Conv2D) and 1 < operation.groups == operation.filters


def is_activation(operation) -> bool:
    """Whether this is an activation: a layer of its own, or a function of keras.ops."""
    kinds = keras.layers.Activation, keras.layers.LeakyReLU, keras.layers.PReLU
    functions = ("Relu", "Relu6", "Silu", "HardSilu", "Gelu", "HardSwish", "LeakyRelu", "Elu")
    known = isinstance(operation, kinds) or type(operation).__name__ in functions
    return known or is_relu(operation)


def is_relu(operation) -> bool:
    """Whether this is a ReLU with its slope and limits: Keras' layer or its activation.

    `keras.activations.relu` of a symbolic tensor is an operation of a private class.
    """
    return isinstance(operation, keras.layers.ReLU) or type(operation).__name__ == "ReLU"
