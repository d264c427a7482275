"""What a conversion returns: the file's bytes, and what is known about them."""

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..files import write_whole
from .accuracy.comparison import Comparison
from .accuracy.gates import Gate
from .accuracy.layerwise import LayerError
from .bounds import Choice
from .file.inspect import Inspection
from .inputs.normalisation import Normalisation
from .recipe import Recipe


@dataclass(frozen=True)
class Report:
    """What a converted file is, and how it differs from the Keras model.

    Attributes:
        io: dtype of the file's input and output.
        preprocess: whether the normalisation is in the file, which then takes raw pixels.
        logits: whether a final softmax or sigmoid was left out on request.
        comparison: the file against the Keras model.
        compared_on: "images" of the caller, or "noise".
        inspection: operators, tensors, partitions.
        versions: of the libraries that made the file.
        gates: the sigmoid gates, seen on the calibration images; int8 recipes only.
        worst_layers: where a file below 30 dB loses most.
        spread_loss: of a file below 30 dB in which no layer stands out, what is known of it.
        choices: of recipe="auto", the table it chose from.
    """

    io: str
    preprocess: bool
    logits: bool
    comparison: Comparison
    compared_on: str
    inspection: Inspection
    versions: dict[str, str]
    gates: tuple[Gate, ...] = ()
    worst_layers: tuple[LayerError, ...] = ()
    spread_loss: str | None = None
    choices: tuple[Choice, ...] = ()

    @property
    def small_gates(self) -> tuple[Gate, ...]:
        """Gates whose values int8's fixed step of 1/256 does not hold."""
        return tuple(gate for gate in self.gates if gate.is_small)

    def to_dict(self) -> dict:
        """The report as a JSON-able dictionary."""
        nested: dict[str, object] = {
            "comparison": self.comparison.to_dict(),
            "inspection": self.inspection.to_dict(),
        }
        for name in ("gates", "worst_layers", "choices"):
            nested[name] = [_finite(asdict(row)) for row in getattr(self, name)]
        return {key: nested.get(key, value) for key, value in vars(self).items()}

    def __str__(self) -> str:
        noise = "" if self.compared_on == "images" else "compared on noise: no images were given\n"
        lines = [f"{noise}{self.comparison}", str(self.inspection)]
        if self.small_gates:
            cure = (
                "computed in float, as this recipe does"
                if "LOGISTIC" in self._float_operators()
                else 'cure: recipe="mixed_int8", or gates of hard_sigmoid'
            )
            lines.append(f"gates too small for int8's steps of 1/256 ({cure}):")
            lines += [f"  {gate}" for gate in self.small_gates]
        if self.worst_layers:
            lines.append("layers that lose most:")
            lines += [f"  {layer}" for layer in self.worst_layers]
        if self.spread_loss is not None:
            lines.append(f"what lowers the SNR: {self.spread_loss}")
        if self.choices:
            lines.append("recipes:")
            lines += [str(choice) for choice in self.choices]
        return "\n".join(lines)

    def _float_operators(self) -> set[str]:
        return {op.name for op in self.inspection.operators if "float32" in op.dtypes}


@dataclass(frozen=True)
class Result:
    """A converted model.

    Attributes:
        model: the .tflite file, as bytes.
        recipe: the recipe it was made with.
        report: how it compares with the Keras model, and what is in it.
    """

    model: bytes
    recipe: Recipe
    report: Report

    def __bytes__(self) -> bytes:
        return self.model

    def __repr__(self) -> str:
        return f"Result({self.recipe.name}, {len(self.model)} bytes)"

    def to_dict(self) -> dict:
        """Recipe and report as a JSON-able dictionary."""
        return {"recipe": asdict(self.recipe), **self.report.to_dict()}

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write the file atomically: a reader sees the old file or the new one, never a part.

        Args:
            path: where to write; the folder must exist.
            overwrite: replace a file that is there.

        Returns:
            The path.

        Raises:
            FileExistsError: when there is one and `overwrite` is False.
            OSError: when it cannot be written; what was there before is then unchanged.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it")
        return write_whole(path, self.model)


class BoundNotMet(RuntimeError):
    """A converted file is further from the Keras model than the caller allows.

    Attributes:
        result: the `Result`, so that nothing is lost.
    """

    def __init__(self, message: str, result: Result):
        super().__init__(message)
        self.result = result


def _finite(row: dict) -> dict:
    """The dictionary with infinite and undefined numbers as strings, for JSON."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def check_same(file, raw_pixels: bool, preprocess: Normalisation) -> None:
    """Raise where a `Result` was converted with another normalisation than is passed now.

    Bytes and paths do not say. Images in one form, fed to a file of the other, would give figures
    that mean nothing.
    """
    if isinstance(file, Result) and file.report.preprocess != raw_pixels:
        inside = "in the file: pass" if file.report.preprocess else "not in the file: leave out"
        raise ValueError(f"The normalisation is {inside} preprocess. Received: {preprocess!r}")
