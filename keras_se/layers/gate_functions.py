"""The functions that turn excitation logits into gates, each with its deployed form.

Sigmoid, tanh and ReLU are compared in table 10 of Hu et al.
(https://arxiv.org/abs/1709.01507); hard sigmoid and clipping are for integer
hardware; `sigmoid2` is 2 sigmoid, which a zero last layer makes an identity.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

from ..lowering import add_layer
from ..names import check_name


class GateFunction(NamedTuple):
    """A function of the logits, and the primitive layers that compute it."""

    function: Callable
    layers: tuple[Callable[..., keras.layers.Layer], ...]


def _activation(function):
    return lambda **names: keras.layers.Activation(function, **names)


GATE_FUNCTIONS = {
    "sigmoid": GateFunction(ops.sigmoid, (_activation("sigmoid"),)),
    "hard_sigmoid": GateFunction(ops.hard_sigmoid, (_activation("hard_sigmoid"),)),
    "tanh": GateFunction(ops.tanh, (_activation("tanh"),)),
    "relu": GateFunction(ops.relu, (_activation("relu"),)),
    "clip": GateFunction(
        lambda x: ops.clip(x, 0.0, 1.0),
        (lambda **names: keras.layers.ReLU(max_value=1.0, **names),),
    ),
    "sigmoid2": GateFunction(
        lambda x: 2 * ops.sigmoid(x),
        (_activation("sigmoid"), lambda **names: keras.layers.Rescaling(2.0, **names)),
    ),
}


def check_gate(gate: str) -> str:
    """Return `gate` if it names a gate function; otherwise list them."""
    return check_name("gate", gate, GATE_FUNCTIONS)


def lower_gate(gate: str, logits, name: str):
    """Apply the primitive layers of a gate function to symbolic logits."""
    for step, layer in enumerate(GATE_FUNCTIONS[gate].layers):
        suffix = f"_{step}" if step else ""
        logits = add_layer(layer(name=f"{name}_gate{suffix}", dtype="float32"), logits)
    return logits
