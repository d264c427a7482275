"""What each gate is at its mean over pictures: a constant, or why it cannot be one."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from .found_gates import FoundGate, find_gates
from .gate_values import Constant, values
from .record import record
from .remove import unfoldable


@dataclass(frozen=True, eq=False)
class GateMean:
    """A gate over pictures.

    Attributes:
        constant: what it computes at its mean by channel; None where no constant can take
            its place.
        variation: standard deviation of its values over pictures and pixels, relative to
            their root mean square; None where it was not measured (`reason` says why).
        reason: why no constant can take its place; None where one can.
    """

    constant: Constant | None = None
    variation: float | None = None
    reason: str | None = None


def gate_means(model: keras.Model, images, batch_size: int) -> dict[FoundGate, GateMean]:
    """Measure every gate of a model on pictures, in the order of the graph.

    Args:
        model: functional or Sequential model with gates of `keras_se.layers.GATES`.
        images: array (n, h, w, c), or what the model takes: a list or dict of arrays.
        batch_size: int >= 1, pictures at a time.

    Raises:
        ValueError: for a model without gates, or a batch size below 1.
    """
    gates = find_gates(model)
    if not gates:
        raise ValueError(f"Model '{model.name}' has no gates of keras_se.layers.GATES")
    reasons = {found: _unmeasured(found) for found in gates}
    measured = record(model, [f for f in gates if reasons[f] is None], images, batch_size)
    return {
        found: _mean(found, measured[found]) if found in measured else GateMean(reason=reason)
        for found, reason in reasons.items()
    }


def _mean(found: FoundGate, statistics) -> GateMean:
    constant = Constant(statistics.mean, np.zeros_like(statistics.mean))
    reason = unfoldable(found, constant)
    return GateMean(constant if reason is None else None, statistics.variation, reason)


def _unmeasured(found: FoundGate) -> str | None:
    """Why a gate has no values that a constant could stand for; None where it has."""
    try:
        height, width = found.size
        probe = ops.ones((1, height or 9, width or 9, found.channels), found.gate.compute_dtype)
        values(found.gate, probe)
    except ValueError as error:
        return str(error)
    if found.tail is None:
        return None
    inner = found.tail.inner_activation
    if inner not in (keras.activations.linear, keras.activations.relu):
        return f"inner_activation={inner.__name__!r} lies between BatchNorm and the gate"
    return None
