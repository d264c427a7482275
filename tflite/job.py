"""One conversion: a lowered model becomes a file, which is run and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import keras

from .accuracy.compare import compare_lowered
from .accuracy.gates import Gate, measure_gates
from .accuracy.layerwise import LayerError, layer_errors, spread_loss, worst_layers
from .converter import check_file, convert_file
from .file.inspect import inspect
from .inputs.images import Images
from .metadata import add_metadata
from .passes import Lowering, apply_passes
from .recipe import Recipe, get_recipe
from .result import Report, Result

POOR_SNR_DB = 30.0  # below it, a report names the worst layers


@dataclass(frozen=True)
class Job:
    """A lowered model and checked images, to be converted by one recipe or by several."""

    name: str
    reference: keras.Model  # what the file is compared with
    lowered: keras.Model
    final: keras.Model  # `lowered`, or without its softmax
    images: Images
    compared_on: str
    raw_pixels: bool
    quantized: bool  # from `quantize_aware`: the ranges are in the model
    io: str | None
    lowering: Lowering
    labels: Sequence[str] | None

    def convert_by(self, recipe: Recipe) -> Result:
        """Convert, run and compare."""
        io = self.io or recipe.ios[0]
        primitive = self.final
        if not self.quantized:
            primitive = apply_passes(primitive, self.lowering, recipe)
        ranges_from = None if self.quantized else self.images
        content, calibrated = convert_file(primitive, recipe, io, ranges_from, self.raw_pixels)
        try:
            if self.labels is not None:
                content = add_metadata(content, self.labels, name=self.name)
            inspection = inspect(content)
        except ValueError as error:
            raise RuntimeError(f"The converted file does not run: {error}") from error
        check_file(inspection, recipe, io, self.raw_pixels)
        comparison = compare_lowered(self.reference, content, self.images)
        gates: tuple[Gate, ...] = ()
        if recipe.activations == "int8" and calibrated:
            gates = measure_gates(calibrated, self.images)
        layers: tuple[LayerError, ...] = ()
        poor = not comparison.snr_db >= POOR_SNR_DB  # also when it is NaN
        if poor:
            calibrated = calibrated or self.float_file(primitive)
            layers = layer_errors(calibrated, content, self.images)
        report = Report(
            io=io,
            preprocess=self.raw_pixels,
            logits=self.final is not self.lowered,
            comparison=comparison,
            compared_on=self.compared_on,
            inspection=inspection,
            versions={name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")},
            gates=gates,
            worst_layers=worst_layers(layers),
            spread_loss=spread_loss(layers) if poor else None,
        )
        return Result(content, recipe, report)

    def float_file(self, primitive: keras.Model) -> bytes:
        """A model as a float32 file, to see where another file of it loses."""
        return convert_file(primitive, get_recipe("float32"), "float32", None, self.raw_pixels)[0]
