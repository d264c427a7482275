"""Convert a Keras model to a .tflite file that was run before it is returned."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import keras

from .bounds import Bounds
from .choose import CANDIDATES, choose
from .compare import compare_lowered
from .converter import check_file, convert_file
from .gates import Gate, measure_gates
from .images import Images, load_images
from .inspect import inspect
from .layerwise import LayerError, layer_errors, spread_loss, worst_layers
from .logits import drop_final_activation
from .lower import lower
from .metadata import add_metadata
from .model_labels import labels_of_model
from .normalisation import Normalisation, normalisation, with_origin
from .passes import Lowering, apply_passes
from .qat.deploy import deployed
from .qat.model import is_quantized
from .recipe import Recipe, get_recipe
from .requests import (
    check_classes,
    check_lowering,
    check_quantized_options,
    labels_for,
    noise,
    that_take,
)
from .result import BoundNotMet, Report, Result
from .source import classes_of, image_shape

_POOR_SNR_DB = 30.0  # below it, a report names the worst layers


def convert(
    model: keras.Model,
    recipe: str | Recipe = "static_int8",
    calibration=None,
    *,
    io: str | None = None,
    logits: bool = False,
    preprocess: Normalisation = None,
    input_size: int | tuple[int, int] | None = None,
    lowering: Lowering | None = None,
    min_snr_db: float | None = None,
    min_agreement: float | None = None,
    max_accuracy_drop: float | None = None,
    labels: Sequence[str] | None = None,
) -> Result:
    """Convert a Keras 3 image model to TensorFlow Lite, and measure what was lost.

    The model is lowered (`keras_se.tflite.lower`), its batch fixed to 1, converted with the
    built-in operators alone, and run beside the Keras model on the caller's images.

    Args:
        model: functional or Sequential model, one image input and one output; or one from
            `quantize_aware`, which brings its own ranges and preprocessing.
        recipe: a name in `RECIPES`, a `Recipe`, or "auto": the fastest recipe whose file
            keeps the bounds below on the images (without any: `min_agreement=0.99`, and
            `min_snr_db=30` where there are no classes). The report shows what it chose from;
            it converts five times.
        calibration: images as `model.predict` takes them, or raw pixels in [0, 255] with
            `preprocess`: an array (n, h, w, c), a list of arrays, a `tf.data.Dataset`, or a
            directory of pictures (`keras_se.tflite.load_images`; a directory gives raw
            pixels, so without `preprocess` they reach the model unchanged). Needed for
            static recipes; the others use them for the comparison alone, and noise without.
            What a dataset yields besides images counts where it is labels of the model's
            classes, and is left out otherwise, unless `max_accuracy_drop` needs them.
        io: dtype of the file's input and output: "uint8" (the default of static_int8 and
            mixed_int8, what phone APIs feed), "int8" (theirs too), "int16" (of static_int16x8)
            or "float32" (any; the default of the others).
        logits: leave out a final softmax or sigmoid.
        preprocess: put the normalisation into the file, which then takes raw RGB pixels in
            [0, 255]; an integer input then has scale 1, and as uint8 zero point 0. "included"
            says that the model normalises raw pixels itself, as those of `strip`, `prune` and
            `cluster` do that were given `preprocess`.
        input_size: height and width in pixels, for a model that leaves them open.
        lowering: which of several equal forms the file takes; None is `Lowering()`,
            the fastest on a CPU. Not for a model from `quantize_aware`.
        min_snr_db: refuse a file with a lower signal-to-noise ratio, in dB.
        min_agreement: refuse a file with a lower top-1 agreement, in [0, 1].
        max_accuracy_drop: refuse a file whose top-1 accuracy is more than that lower than the
            Keras model's, both in [0, 1]; needs images with labels.
        labels: name of each class, for a file that an app's image classifier loads as it is
            (`keras_se.tflite.add_metadata`); needs `preprocess`, since apps feed raw pixels.
            None takes the names that the model knows (`class_names`), where such a file can be
            made.

    Returns:
        A `Result`: bytes, recipe, and the report of the comparison. However poor, it is
        returned, unless it misses a bound that was passed.

    Raises:
        TypeError: for a subclassed model, images of an unknown kind, or a `lowering` that is none.
        ValueError: for an unknown recipe or io, images that are missing, empty, of another
            shape, NaN or out of range; all before the conversion starts.
        RuntimeError: when the model cannot be lowered exactly, the converter refuses it, the
            file does not run or is not of the recipe's dtypes; or on a Keras backend other
            than TensorFlow.
        BoundNotMet: when the file misses a bound; with "auto", when every file does.
    """
    auto = recipe == "auto"
    candidates = [get_recipe(name) for name in CANDIDATES] if auto else [get_recipe(recipe)]
    if io is not None:
        candidates = that_take(io, candidates)
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Conversion needs Keras on TensorFlow: save the model, set KERAS_BACKEND=tensorflow, "
            f"load it again. Received: backend {keras.backend.backend()!r}"
        )
    shape = image_shape(model, input_size)
    forms = check_lowering(lowering)
    bounds = Bounds(min_snr_db, min_agreement, max_accuracy_drop)
    classes = classes_of(model)
    if auto and bounds == Bounds():
        bounds = Bounds(min_agreement=0.99) if classes else Bounds(min_snr_db=_POOR_SNR_DB)
    check_classes(bounds, classes, model)
    quantized = is_quantized(model)
    if quantized:
        check_quantized_options(recipe, lowering)
    added, raw_pixels = normalisation(model, preprocess)
    labels = labels_for(labels, model, shape, raw_pixels, io)
    if calibration is not None:
        needed = bounds.max_accuracy_drop is not None  # to calibrate, the pictures are enough
        loaded = load_images(calibration, shape, raw_pixels, strict_labels=needed)
        loaded = with_origin(loaded, calibration, model, raw_pixels)
        images, compared_on = labels_of_model(loaded, model, strict=needed), "images"
    elif auto or (candidates[0].needs_calibration and not quantized):
        raise ValueError(
            f"Recipe {'auto' if auto else candidates[0].name!r} needs images to learn the ranges "
            "of the activations: pass calibration=, an array, a dataset or a directory; some "
            "hundred typical pictures"
        )
    else:
        images, compared_on = noise(shape, raw_pixels), "noise"
    if bounds.max_accuracy_drop is not None and images.labels is None:
        raise ValueError(
            "max_accuracy_drop needs labels: a dataset of (image, label), or a folder for each of "
            f"the {classes} classes. Received: max_accuracy_drop={max_accuracy_drop}, images "
            f"without labels{f' ({images.no_labels})' if images.no_labels else ''}"
        )

    lowered = deployed(model) if quantized else lower(model, added, input_size=shape[:2])
    job = _Job(
        name=model.name,
        reference=model if quantized else lowered,
        lowered=lowered,
        final=(drop_final_activation(lowered) or lowered) if logits else lowered,
        images=images,
        compared_on=compared_on,
        raw_pixels=raw_pixels,
        quantized=quantized,
        io=io,
        lowering=forms,
        labels=labels,
    )
    if auto:
        return choose(job.convert_by, candidates, bounds, images)
    result = job.convert_by(candidates[0])
    violation = bounds.violation(result.report.comparison)
    if violation is not None:
        raise BoundNotMet(violation, result)
    return result


@dataclass(frozen=True)
class _Job:
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
        poor = not comparison.snr_db >= _POOR_SNR_DB  # also when it is NaN
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
