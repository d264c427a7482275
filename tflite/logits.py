"""The logits of a network that ends with probabilities."""

import keras

from ..lowering import add_layer


def drop_final_activation(lowered: keras.Model) -> keras.Model | None:
    """A lowered model without its final softmax or sigmoid; None when it has none.

    The activation may be a layer, a `keras.ops` node or the `activation=` of the last
    Dense or convolution layer. The weights of all other layers are shared.
    """
    last, call, _ = lowered.outputs[0]._keras_history
    source = last._inbound_nodes[call].input_tensors[0]
    if type(last).__name__ in ("Softmax", "Sigmoid"):  # the classes behind keras.ops are private
        return keras.Model(lowered.inputs[0], source, name=lowered.name)
    layers_with_activation = (
        keras.layers.Activation,
        keras.layers.Conv2D,
        keras.layers.Dense,
    )
    if not isinstance(last, layers_with_activation):
        return None
    if last.activation not in (keras.activations.softmax, keras.activations.sigmoid):
        return None
    name = f"{last.name}_logits"  # another one, so that both fit into one model
    copy = type(last).from_config(last.get_config() | {"activation": None, "name": name})
    outputs = add_layer(copy, source, last.get_weights())
    return keras.Model(lowered.inputs[0], outputs, name=lowered.name)
