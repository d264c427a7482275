"""The logits of a network that ends with probabilities."""

from collections.abc import Callable

import keras

from ...lowering import add_layer


def final_activation(lowered: keras.Model) -> Callable | None:
    """The softmax or sigmoid that a lowered model ends in, as a function; None without.

    It may be a layer, a `keras.ops` node or the `activation=` of the last Dense or convolution
    layer.
    """
    last = lowered.outputs[0]._keras_history.operation
    functions = (keras.activations.softmax, keras.activations.sigmoid)
    named = {"Softmax": functions[0], "Sigmoid": functions[1]}  # those of keras.ops are private
    if isinstance(last, (keras.layers.Activation, keras.layers.Conv2D, keras.layers.Dense)):
        return last.activation if last.activation in functions else None
    return named.get(type(last).__name__)


def drop_final_activation(lowered: keras.Model) -> keras.Model | None:
    """A lowered model without its `final_activation`; None when it has none.

    The weights of all other layers are shared.
    """
    if final_activation(lowered) is None:
        return None
    last, call, _ = lowered.outputs[0]._keras_history
    source = last._inbound_nodes[call].input_tensors[0]
    if type(last).__name__ in ("Softmax", "Sigmoid"):
        return keras.Model(lowered.inputs[0], source, name=lowered.name)
    name = f"{last.name}_logits"  # another one, so that both fit into one model
    copy = type(last).from_config(last.get_config() | {"activation": None, "name": name})
    outputs = add_layer(copy, source, last.get_weights())
    return keras.Model(lowered.inputs[0], outputs, name=lowered.name)
