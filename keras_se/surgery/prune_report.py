"""What taking gates out saved and lost."""

from dataclasses import dataclass

import keras
import numpy as np

from ..applications.profile import profile
from ..batches import outputs


@dataclass(frozen=True)
class GateFinding:
    """What was found about one gate.

    Attributes:
        path: the gate in the model.
        kind: its class.
        variation: standard deviation of its values over pictures and pixels, relative to
            their root mean square; None where it was not measured (`into` says why).
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
        macs_before: multiply-accumulates of one picture; 0 for a model of several inputs.
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


def prune_report(
    model: keras.Model,
    pruned: keras.Model,
    gates: tuple[GateFinding, ...],
    images,
    batch_size: int,
) -> PruneReport:
    """Compare a model with what is left of it, in size and on pictures."""
    before, after = (
        [array.astype("float64") for array in outputs(each, images, batch_size)]
        for each in (model, pruned)
    )
    errors = [a - b for a, b in zip(after, before, strict=True)]
    energy = sum(np.square(b).sum() for b in before)
    is_classifier = len(before) == 1 and before[0].ndim == 2 and before[0].shape[1] > 1
    first = np.asarray(keras.tree.flatten(images)[0])
    one_input = len(model.inputs) == 1  # as `profile` needs
    macs = [profile(m, first.shape[1:]).macs if one_input else 0 for m in (model, pruned)]
    return PruneReport(
        gates=gates,
        parameters_before=model.count_params(),
        parameters_after=pruned.count_params(),
        macs_before=macs[0],
        macs_after=macs[1],
        images=len(first),
        agreement=float(np.mean(before[0].argmax(-1) == after[0].argmax(-1)))
        if is_classifier
        else None,
        largest_error=float(max(np.abs(e).max() for e in errors)),
        relative_error=float(np.sqrt(sum(np.square(e).sum() for e in errors) / max(energy, 1e-30))),
    )
