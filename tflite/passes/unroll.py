"""Recurrent layers without a loop."""

import keras

from ...lowering import add_layer

_LONGEST = 256  # steps: a file grows with them
_RECURRENT = (
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
    keras.layers.GRU,
    keras.layers.LSTM,
    keras.layers.RNN,
    keras.layers.SimpleRNN,
)


def unroll(operation, graph, lowering, recipe):
    """Write a recurrent layer of a known number of steps step by step.

    TensorFlow's calibrator (2.21) ends the process in a loop. Not in files that compute in float,
    which are smaller with one.
    """
    if recipe.activations == "float32":
        return None
    return unrolled(operation, f"Recipe {recipe.name!r}", "; one that computes in float takes any")


def unrolled(operation, taker: str, others: str = ""):
    """The replacement of a recurrent layer; None for another operation.

    Args:
        operation: of a lowered model.
        taker: what needs it so, and `others` what does not, for the message of the error.

    Raises:
        RuntimeError: for more steps than a file should grow by.
    """
    both_ways = type(operation) is keras.layers.Bidirectional
    wrapped = [operation.forward_layer, operation.backward_layer] if both_ways else [operation]
    if any(type(each) not in _RECURRENT for each in wrapped) or all(x.unroll for x in wrapped):
        return None
    steps = operation.input.shape[1]
    if steps > _LONGEST:
        raise RuntimeError(
            f"{taker} takes recurrent layers of at most {_LONGEST} steps{others}. "
            f"Received: {operation.name!r} of {steps} steps"
        )

    def build(new):
        config = operation.get_config()
        inner = ("layer", "backward_layer") if both_ways else ()
        for each in [config[name]["config"] for name in inner if name in config] or [config]:
            each["unroll"] = True
        layer = type(operation).from_config(config)
        return add_layer(layer, new(operation.input), operation.get_weights())

    return build
