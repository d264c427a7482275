"""Gates that do the same to every picture, replaced by what they do on average.

Hu et al. (https://arxiv.org/abs/1709.01507, section 6.4): the excitations of the last stage
tend to a saturated state, and leaving its blocks out costs little.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from ..applications.profile import profile
from .fold import Fold
from .gate_values import Constant, values
from .record import batches, record
from .remove import FoundGate, find_gates, take_out, unfoldable


@dataclass(frozen=True)
class GateFinding:
    """What was found about one gate.

    Attributes:
        path: the gate in the model.
        kind: its class.
        variation: standard deviation of its values over pictures and pixels, relative to
            their root mean square; None where it is no product with its input.
        pruned: whether it was taken out.
        into: what took its mean up; for a gate that stays, why.
    """

    path: str
    kind: str
    variation: float | None
    pruned: bool
    into: str


@dataclass(frozen=True)
class PruneReport:
    """What `prune_gates` saved and lost.

    Attributes:
        gates: one finding for each gate, in the order of the graph.
        parameters_before: all parameters of the model.
        parameters_after: the same, of the new model.
        macs_before: multiply-accumulates of one picture.
        macs_after: the same, of the new model.
        images: number of pictures.
        agreement: part of the pictures in [0, 1] whose highest output stays the same; None
            unless the model has one output (n, classes).
        largest_error: largest difference of any output number.
        relative_error: root mean square of the difference, relative to the output's.
    """

    gates: tuple[GateFinding, ...]
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    images: int
    agreement: float | None
    largest_error: float
    relative_error: float

    @property
    def pruned(self) -> tuple[str, ...]:
        """Paths of the gates that were taken out."""
        return tuple(gate.path for gate in self.gates if gate.pruned)

    def __str__(self):
        rows = [
            f"{gate.path:40} {'-' if gate.variation is None else f'{gate.variation:.4f}':>9}  "
            f"{'pruned into' if gate.pruned else 'kept:'} {gate.into}"
            for gate in self.gates
        ]
        agreement = "" if self.agreement is None else f"top-1 agreement {self.agreement:.1%}, "
        return "\n".join(
            [
                f"{'gate':40} {'variation':>9}",
                *rows,
                f"parameters {self.parameters_before:,} -> {self.parameters_after:,}, "
                f"multiply-accumulates {self.macs_before:,} -> {self.macs_after:,}",
                f"on {self.images} pictures: {agreement}largest error "
                f"{self.largest_error:.3g}, relative error {self.relative_error:.3g}",
            ]
        )


def prune_gates(
    model: keras.Model, images, threshold: float = 0.05, batch_size: int = 32
) -> tuple[keras.Model, PruneReport]:
    """Take out the gates whose values hardly vary over pictures.

    Args:
        model: functional or Sequential Keras model with gates of `keras_se.layers.GATES`,
            also in `ResidualTail` layers and in models inside it. It is not changed.
        images: array (n, h, w, c) as `model.predict` takes it: typical pictures, all classes.
        threshold: float >= 0. Gates with a variation of at most this are replaced by their
            mean by channel, which is folded as in `remove`.
        batch_size: int, pictures at a time.

    Returns:
        The new model, not compiled, with copies of the weights, and a `PruneReport`.

    Raises:
        ValueError: for a negative threshold, no pictures, or a model without gates.

    >>> from keras_se.applications import SEResNetCIFAR
    >>> images = np.zeros((4, 32, 32, 3), "float32")
    >>> pruned, report = prune_gates(SEResNetCIFAR(8), images)
    >>> report.pruned[0], report.agreement, report.gates[0].into
    ('stage2_block1_tail/gate', 1.0, 'batch normalisation of the tail')
    """
    count = len(keras.tree.flatten(images)[0])
    if not threshold >= 0 or not count:
        raise ValueError(
            f"`threshold` must be at least 0, and there must be pictures. Received: "
            f"threshold={threshold}, {count} pictures"
        )
    gates = find_gates(model)
    if not gates:
        raise ValueError(f"Model '{model.name}' has no gates of keras_se.layers.GATES")
    reasons = {found: unprunable(found) for found in gates}
    measured = record(model, [f for f in gates if reasons[f] is None], images, batch_size)
    constants = {}
    for found, statistics in measured.items():
        if statistics.variation <= threshold:
            mean = Constant(statistics.mean, np.zeros_like(statistics.mean))
            reasons[found] = unfoldable(found, mean)
            if reasons[found] is None:
                constants[found] = mean
    pruned, folds = take_out(model, constants)
    findings = tuple(
        _finding(found, measured.get(found), folds.get(found), reasons[found]) for found in gates
    )
    return pruned, _report(model, pruned, findings, images, batch_size, count)


def unprunable(found: FoundGate) -> str | None:
    """Why a gate has no values that a constant could stand for."""
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


def _finding(found, statistics, fold: Fold | None, reason) -> GateFinding:
    return GateFinding(
        found.path,
        type(found.gate).__name__,
        None if statistics is None else statistics.variation,
        fold is not None,
        fold.into if fold else reason or "it varies",
    )


def _report(model, pruned, findings, images, batch_size, count) -> PruneReport:
    before, after = _outputs(model, images, batch_size), _outputs(pruned, images, batch_size)
    errors = [a - b for a, b in zip(after, before, strict=True)]
    energy = sum(np.square(b).sum() for b in before)
    is_classifier = len(before) == 1 and before[0].ndim == 2 and before[0].shape[1] > 1
    shape = keras.tree.flatten(images)[0].shape[1:]
    one_input = len(model.inputs) == 1  # as `profile` needs
    macs = [profile(m, shape).macs if one_input else 0 for m in (model, pruned)]
    return PruneReport(
        gates=findings,
        parameters_before=model.count_params(),
        parameters_after=pruned.count_params(),
        macs_before=macs[0],
        macs_after=macs[1],
        images=count,
        agreement=float(np.mean(before[0].argmax(-1) == after[0].argmax(-1)))
        if is_classifier
        else None,
        largest_error=float(max(np.abs(e).max() for e in errors)),
        relative_error=float(np.sqrt(sum(np.square(e).sum() for e in errors) / max(energy, 1e-30))),
    )


def _outputs(model, images, batch_size) -> list[np.ndarray]:
    """All outputs, as float64 arrays over all pictures."""
    parts = [
        [ops.convert_to_numpy(t).astype("float64") for t in keras.tree.flatten(found)]
        for found in (model(batch, training=False) for batch in batches(images, batch_size))
    ]
    return [np.concatenate(output) for output in zip(*parts, strict=True)]
