"""How each gate starts as the identity, and why some settings cannot.

A gate is the identity when its values are 1 (or, where it adds, 0). It must also train
from there: the last layer's kernel is set to zero, which makes the logits equal to its bias
whatever the picture, and the gate function must pass 1 with a slope. 2 sigmoid does at
logit 0, ReLU at 1, tanh + 1 at 0; a sigmoid comes near 1 only where its slope vanishes. At
the first step the gradient reaches the last layer, from the second on all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras
from keras import ops

# The logit at which a gate function is 1 with a slope, and at which tanh is 0.
LOGIT_OF_ONE = {"sigmoid2": 0.0, "relu": 1.0}


@dataclass(frozen=True)
class Start:
    """How one kind of gate starts as the identity.

    Attributes:
        how: the construction, in words.
        set_weights: makes the identity of a built gate; raises ValueError with the reason
            where its options do not allow it.
        options: arguments of the gate that it needs, unless the user gives others.
    """

    how: str
    set_weights: Callable[[keras.Layer], None]
    options: Mapping = field(default_factory=dict)


def identity_start(gate: str) -> Start:
    """The construction for a gate of `GATES`.

    Raises:
        ValueError: if none is known.
    """
    if gate not in STARTS:
        raise ValueError(
            f"No start as the identity is known for gate {gate!r}; pass start=None for its "
            f"usual initialisation. Known: {sorted(STARTS)}"
        )
    return STARTS[gate]


def _logit(layer, calls: int = 1) -> float:
    """The bias that makes the gate 1, where `calls` outputs of the last layer are added."""
    if layer.gate not in LOGIT_OF_ONE:
        raise ValueError(
            f"gate_function={layer.gate!r} cannot start as the identity: it is 1 nowhere, "
            f"or only where its slope is 0, so it would not train. Use one of "
            f"{sorted(LOGIT_OF_ONE)}, or start=None"
        )
    return LOGIT_OF_ONE[layer.gate] / calls


def fill(variable: keras.Variable, value: float) -> None:
    """Set all of a variable to one value; `ops.full_like` takes no variable on JAX."""
    variable.assign(ops.full(variable.shape, value, variable.dtype))


def _constant(layer, value: float) -> None:
    """Let a dense layer or convolution return `value` whatever its input."""
    fill(layer.kernel, 0.0)
    if layer.use_bias:
        fill(layer.bias, value)
    elif value:
        raise ValueError(
            f"Without a bias the logits start at 0, not at {value}: use gate_function='sigmoid2'"
        )


def _constant_norm(norm, value: float) -> None:
    fill(norm.gamma, 0.0)
    fill(norm.beta, value)


def _se(gate):
    _constant(gate.expand, _logit(gate))


def _channel(gate):
    _constant(gate.expand, _logit(gate, calls=2))


def _spatial(gate):
    _constant_norm(gate.norm, _logit(gate))


def _cbam(gate):
    if gate.channel is not None:
        _channel(gate.channel)
    if gate.spatial is not None:
        _spatial(gate.spatial)


def _eca(gate):
    _constant(gate.conv, _logit(gate))


def _ese(gate):
    _constant(gate.dense, _logit(gate))


def _sse(gate):
    _constant(gate.squeeze, _logit(gate))


def _scse(gate):
    if gate.combine == "add" and gate.gate == "sigmoid":
        logits = 0.0  # 1/2 and 1/2
    elif gate.combine == "add":
        raise ValueError(
            f"combine='add' starts as the identity with gate_function='sigmoid', 1/2 from "
            f"each part. Received: gate_function={gate.gate!r}"
        )
    else:
        logits = _logit(gate)
    _constant(gate.channel.expand, logits)
    _constant(gate.spatial.squeeze, logits)


def _ge(gate):
    if gate.variant == "theta-":
        raise ValueError(
            "variant='theta-' has no parameters, so it is sigmoid(mean) from the start; use "
            "variant='theta' or 'theta+'"
        )
    if gate.variant == "theta+":
        _constant(gate.expand, _logit(gate))
    else:
        _constant_norm(gate.norms[-1], _logit(gate))


def _gc(gate):
    _constant(gate.expand, 0.0)


def _coord(gate):
    for part in (gate.rows, gate.columns):
        _constant(part, _logit(gate))


def _bam(gate):
    if gate.gate != "tanh":
        raise ValueError(
            f"y = x (1 + gate) is the identity where the gate is 0, which gate_function='tanh' is "
            f"with a slope. Received: gate_function={gate.gate!r}"
        )
    if gate.combine == "product":
        _constant(gate.channel[-1], 0.0)
    else:
        for branch in (gate.channel, gate.spatial):
            _constant_norm(branch[-1], 0.0)


TWICE = {"gate": "sigmoid2"}

STARTS = {
    "se": Start("gate 2 sigmoid, W2 = 0 and b2 = 0", _se, TWICE),
    "channel": Start("gate 2 sigmoid, the shared W2 = 0 and b2 = 0", _channel, TWICE),
    "spatial": Start("gate 2 sigmoid, BatchNorm's gamma = 0 and beta = 0", _spatial, TWICE),
    "cbam": Start("both parts as `channel` and `spatial`", _cbam, TWICE),
    "eca": Start("gate 2 sigmoid, the kernel = 0", _eca, TWICE),
    "ese": Start("gate 2 sigmoid, W = 0 and b = 0", _ese, TWICE),
    "sse": Start("gate 2 sigmoid, W = 0 and b = 0", _sse, TWICE),
    "scse": Start(
        "W2 = 0 and W = 0: sigmoid(0) + sigmoid(0) = 1; with combine='max' and "
        "gate_function='sigmoid2' both parts are 1",
        _scse,
    ),
    "ge": Start("gate 2 sigmoid, the last BatchNorm (theta) or W2 (theta+) = 0", _ge, TWICE),
    "gc": Start("the usual start: W2 = 0 and b2 = 0, so that nothing is added", _gc),
    "coord": Start("gate 2 sigmoid, the rows' and the columns' layer = 0", _coord, TWICE),
    "bam": Start(
        "gate tanh, the last BatchNorm of both branches = 0 (with combine='product' the channel "
        "branch's last layer)",
        _bam,
        {"gate": "tanh"},
    ),
}
