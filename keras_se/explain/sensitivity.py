"""Where attention earns its cost: accuracy with the gates of one stage at their mean."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from ..batches import outputs
from ..surgery.found_gates import FoundGate
from ..surgery.gate_means import gate_means
from ..surgery.remove import take_out
from .gates import stage_number


@dataclass(frozen=True)
class StageSensitivity:
    """What the gates of one stage are worth.

    Attributes:
        stage: "stage 2" by the layers' names, else the size of their feature map, "14x14".
        gates: how many gates it has.
        parameters: trainable parameters of these gates.
        accuracy: part of the pictures classified correctly, in [0, 1], with these gates
            replaced by their mean over the pictures.
        drop: accuracy of the whole model minus this one; what the gates earn.
    """

    stage: str
    gates: int
    parameters: int
    accuracy: float
    drop: float


@dataclass(frozen=True)
class Sensitivity:
    """What `sensitivity` found.

    Attributes:
        accuracy: part of the pictures that the model itself classifies correctly.
        images: number of pictures.
        stages: one row for each stage, in the order of the graph.
        left_out: gates that are no product with their input, or sit where no constant can
            replace them.
    """

    accuracy: float
    images: int
    stages: tuple[StageSensitivity, ...]
    left_out: tuple[str, ...]

    def __str__(self):
        head = ("gates at their mean", "gates", "parameters", "accuracy", "drop")
        rows = [head, ("none", "", "", f"{self.accuracy:.2%}", "")]
        rows += [
            (
                row.stage,
                f"{row.gates}",
                f"{row.parameters:,}",
                f"{row.accuracy:.2%}",
                f"{row.drop:+.2%}",
            )
            for row in self.stages
        ]
        return "\n".join(f"{a:20} {b:>5} {c:>10} {d:>8} {e:>8}" for a, b, c, d, e in rows)


def sensitivity(model: keras.Model, images, labels, batch_size: int = 32) -> Sensitivity:
    """Measure the accuracy with the gates of one stage after the other at their mean.

    A stage whose gates can be replaced by constants without loss does not need them
    (`keras_se.prune_gates` takes them out).

    Args:
        model: functional or Sequential classifier with gates of `keras_se.layers.GATES`.
        images: array (n, height, width, channels), as `model.predict` takes them.
        labels: integers (n,), the classes.
        batch_size: int >= 1, pictures at a time.

    Returns:
        A frozen `Sensitivity`; `print` shows it as a table.

    Raises:
        ValueError: for a model that is no classifier or has no gates, not one label for each
            picture, or a batch size below 1.
    """
    if not is_classifier(model):
        raise ValueError(
            f"A classifier is needed: one output (n, classes) with at least two classes. Received: "
            f"{model.name!r} with outputs {[tuple(t.shape) for t in model.outputs]}"
        )
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or not len(labels):
        raise ValueError(
            f"`labels` must be {len(images)} integers, one per image. "
            f"Received: labels of shape {labels.shape}"
        )
    means = gate_means(model, images, batch_size)
    left_out = tuple(found.path for found, mean in means.items() if mean.constant is None)
    stages: dict[str, dict] = {}
    for found, mean in means.items():
        if mean.constant is not None:
            stages.setdefault(stage_of(found), {})[found] = mean.constant
    whole = _accuracy(model, images, labels, batch_size)
    rows = []
    for stage, constants in stages.items():
        accuracy = _accuracy(take_out(model, constants)[0], images, labels, batch_size)
        count = sum(math.prod(w.shape) for f in constants for w in f.gate.trainable_weights)
        rows.append(StageSensitivity(stage, len(constants), count, accuracy, whole - accuracy))
    return Sensitivity(whole, len(labels), tuple(rows), left_out)


def is_classifier(model: keras.Model) -> bool:
    """Whether the highest of a model's outputs is a class: one output (n, classes)."""
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    return len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] != 1


def stage_of(found: FoundGate) -> str:
    """Which stage a gate belongs to: by its name, else by the size of its feature map."""
    stage = stage_number(found.path)
    if stage is not None:
        return f"stage {stage}"
    return "x".join(map(str, found.size))


def _accuracy(model, images, labels, batch_size) -> float:
    [scores] = outputs(model, images, batch_size)
    return float(np.mean(scores.argmax(axis=-1) == labels))
