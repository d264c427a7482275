"""Everything that a report says, as one value."""

import math
from dataclasses import asdict, dataclass, fields

from ..accuracy.comparison import Comparison
from ..accuracy.gates import Gate
from ..accuracy.layerwise import LayerError
from ..file.inspect import Inspection
from .predictions import Confusion, Disagreement
from .recipes import Kernels, RecipeRow
from .support import Support

_MOST_CLASSES = 100  # whose confusion matrices are in the JSON


@dataclass(frozen=True)
class Origin:
    """How a report came about.

    Attributes:
        command: that makes it again, or "" from Python.
        date: YYYY-MM-DD, UTC.
        machine: processor and number of cores.
        versions: of the libraries.
        runs: invocations behind each latency.
        num_threads: threads of the interpreter.
    """

    command: str
    date: str
    machine: str
    versions: dict[str, str]
    runs: int
    num_threads: int


@dataclass(frozen=True)
class Facts:
    """What is known of a .tflite file beside the Keras model that it was made from.

    Attributes:
        model_name: of the Keras model.
        parameters: number of its weights.
        file_name: of the .tflite file, or "" where it came as bytes.
        sha256: of its bytes.
        recipe: that it was made with, or looks like; None where that cannot be said.
        class_names: names of the classes; indices where nobody named them.
        comparison: the file against the Keras model, on all pictures.
        confusion: of both; None without labels.
        disagreements: the pictures to which they give different classes.
        layers: each operator's output against the float file; empty for a float32 file.
        gates: the sigmoid gates, on at most 32 of the pictures.
        inspection: operators, tensors, partitions.
        kernels: the file with XNNPACK and without.
        recipes: the model by every recipe, beside float32.
        recipe_images: pictures behind the SNR and agreement of `recipes`.
        devices: what each device runs of the file.
        origin: when, where, by which command.
    """

    model_name: str
    parameters: int
    file_name: str
    sha256: str
    recipe: str | None
    class_names: tuple[str, ...]
    comparison: Comparison
    confusion: Confusion | None
    disagreements: tuple[Disagreement, ...]
    layers: tuple[LayerError, ...]
    gates: tuple[Gate, ...]
    inspection: Inspection
    kernels: tuple[Kernels, ...]
    recipes: tuple[RecipeRow, ...]
    recipe_images: int
    devices: tuple[Support, ...]
    origin: Origin

    def to_dict(self) -> dict:
        """The report as a JSON-able dictionary, without the pictures.

        An infinite or undefined number is a string. Of more than 100 classes the confusion
        has its changes alone, not the matrices.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["disagreements"] = [_disagreement(each) for each in self.disagreements]
        if self.confusion is not None:
            matrices = asdict(self.confusion) if len(self.class_names) <= _MOST_CLASSES else {}
            values["confusion"] = matrices | {"changes": self.confusion.changes}
        values["gates"] = [asdict(gate) | {"is_small": gate.is_small} for gate in self.gates]
        values["devices"] = [asdict(each) | {"share": each.share} for each in self.devices]
        values["inspection"] = self.inspection.to_dict()
        return _plain(values)


def _disagreement(each: Disagreement) -> dict:
    row = asdict(each) | {"outcome": each.outcome}
    del row["picture"]
    return row


def _plain(value):
    """Dictionaries, lists, strings, finite numbers."""
    if hasattr(value, "__dataclass_fields__"):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
