"""Convert a Keras model to a .tflite file that was run before it is returned."""

import contextlib
import logging
import warnings
from importlib.metadata import version

import keras
import numpy as np

from .bounds import Bounds
from .calibrate import calibration_set, mend_ranges
from .choose import CANDIDATES, choose
from .compare import compare_lowered
from .gates import fit_gate_scales, gate_names, measure_gates
from .images import Images, load_images
from .inspect import Inspection, inspect
from .layerwise import layer_errors, worst_layers
from .lower import drop_final_activation, lower
from .passes import Lowering, apply_passes
from .preprocess import Preprocess
from .qat.deploy import deployed
from .qat.quantize import is_quantized, takes_raw_pixels
from .recipe import Recipe, get_recipe
from .result import BoundNotMet, Report, Result
from .source import image_shape

_NOISE_IMAGES = 8
_POOR_SNR_DB = 30.0  # below it, a report names the worst layers


def convert(
    model: keras.Model,
    recipe: str | Recipe = "static_int8",
    calibration=None,
    *,
    io: str | None = None,
    logits: bool = False,
    preprocess: Preprocess | None = None,
    input_size: int | tuple[int, int] | None = None,
    lowering: Lowering | None = None,
    min_snr_db: float | None = None,
    min_agreement: float | None = None,
    max_accuracy_drop: float | None = None,
) -> Result:
    """Convert a Keras 3 image model to TensorFlow Lite, and measure what was lost.

    The model is lowered (`keras_se.tflite.lower`), its batch fixed to 1, converted with the
    built-in operators alone, and run beside the Keras model on the caller's images.

    Args:
        model: functional or Sequential model, one image input and one output; or one from
            `quantize_aware`, which brings its own ranges and preprocessing.
        recipe: a name in `RECIPES`, a `Recipe`, or "auto": the fastest recipe whose file
            keeps the bounds below (without any: `min_agreement=0.99`) on the images. The
            report shows what it chose from; it converts five times.
        calibration: images as `model.predict` takes them, or raw pixels in [0, 255] with
            `preprocess`: an array (n, h, w, c), a list of arrays, a `tf.data.Dataset`, or a
            directory of pictures (`keras_se.tflite.load_images`; a directory gives raw
            pixels, so without `preprocess` they reach the model unchanged). Needed for
            static recipes; the others use them for the comparison alone, and noise without.
        io: dtype of the file's input and output: "uint8" (the default of integer recipes,
            what phone APIs feed), "int8" or "float32" (the default of the others).
        logits: leave out a final softmax or sigmoid.
        preprocess: put the normalisation into the file, which then takes raw RGB pixels in
            [0, 255]; an integer input then has scale 1, and as uint8 zero point 0.
        input_size: height and width in pixels, for a model that leaves them open.
        lowering: which of several equal forms the file takes; None is `Lowering()`,
            the fastest on a CPU.
        min_snr_db: refuse a file with a lower signal-to-noise ratio, in dB.
        min_agreement: refuse a file with a lower top-1 agreement, in [0, 1].
        max_accuracy_drop: refuse a file whose top-1 accuracy is more than that lower than the
            Keras model's, both in [0, 1]; needs images with labels.

    Returns:
        A `Result`: bytes, recipe, and the report of the comparison. However poor, it is
        returned, unless it misses a bound that was passed.

    Raises:
        TypeError: for a subclassed model, or images of an unknown kind.
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
        candidates = _that_take(io, candidates)
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Conversion needs Keras on TensorFlow: save the model, set KERAS_BACKEND=tensorflow, "
            f"load it again. Received: backend {keras.backend.backend()!r}"
        )
    shape = image_shape(model, input_size)
    bounds = Bounds(min_snr_db, min_agreement, max_accuracy_drop)
    classes = _classes(model)
    if auto and bounds == Bounds():
        bounds = Bounds(min_agreement=0.99) if classes else Bounds(min_snr_db=_POOR_SNR_DB)
    _check_classes(bounds, classes, model)
    quantized = is_quantized(model)
    if quantized:
        _check_quantized_options(recipe, preprocess)
    raw_pixels = takes_raw_pixels(model) if quantized else preprocess is not None
    if calibration is not None:
        images, compared_on = load_images(calibration, shape, raw_pixels), "images"
    elif auto or (candidates[0].needs_calibration and not quantized):
        raise ValueError(
            f"Recipe {'auto' if auto else candidates[0].name!r} needs images to learn the ranges "
            "of the activations: pass calibration=, an array, a dataset or a directory; some "
            "hundred typical pictures"
        )
    else:
        images, compared_on = _noise(shape, raw_pixels), "noise"
    if bounds.max_accuracy_drop is not None and images.labels is None:
        raise ValueError(
            "max_accuracy_drop needs labels: a dataset of (image, label), or class folders. "
            f"Received: max_accuracy_drop={max_accuracy_drop}, images without labels"
        )

    lowered = deployed(model) if quantized else lower(model, preprocess, input_size=shape[:2])
    final = (drop_final_activation(lowered) or lowered) if logits else lowered

    def convert_by(recipe: Recipe) -> Result:
        own_io = io or recipe.ios[0]
        primitive = final if quantized else apply_passes(final, lowering or Lowering(), recipe)
        ranges_from = None if quantized else images
        content, calibrated = _convert_file(primitive, recipe, own_io, ranges_from, raw_pixels)
        try:
            inspection = inspect(content)
        except ValueError as error:
            raise RuntimeError(f"The converted file does not run: {error}") from error
        _check_file(inspection, recipe, own_io, raw_pixels)
        comparison = compare_lowered(lowered, content, images)
        report = Report(
            io=own_io,
            preprocess=raw_pixels,
            logits=final is not lowered,
            comparison=comparison,
            compared_on=compared_on,
            inspection=inspection,
            versions={name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")},
            gates=measure_gates(calibrated, images) if calibrated else (),
            worst_layers=worst_layers(layer_errors(calibrated, content, images))
            if calibrated and comparison.snr_db < _POOR_SNR_DB
            else (),
        )
        return Result(content, recipe, report)

    if auto:
        return choose(convert_by, candidates, bounds, images)
    result = convert_by(candidates[0])
    violation = bounds.violation(result.report.comparison)
    if violation is not None:
        raise BoundNotMet(violation, result)
    return result


def _classes(model: keras.Model) -> int | None:
    """Number of classes; None where the output is not one row of at least two."""
    output = model.outputs[0].shape
    return output[1] if len(output) == 2 and output[1] != 1 else None


def _check_classes(bounds: Bounds, classes: int | None, model: keras.Model) -> None:
    for name in ("min_agreement", "max_accuracy_drop"):
        value = getattr(bounds, name)
        if value is not None and classes is None:
            raise ValueError(
                f"{name} needs an output of one row of classes. "
                f"Received: {name}={value}, output {model.outputs[0].shape}"
            )


def run_converter(
    lowered: keras.Model, recipe: Recipe, io: str, images: Images | None, raw_pixels: bool
) -> bytes:
    """Convert a lowered model of batch 1 with TensorFlow's converter.

    Static recipes learn the ranges of the activations from `images`; None takes those of
    the fake quantisation in the model.

    Raises:
        RuntimeError: when the converter refuses it.
    """
    return _convert_file(lowered, recipe, io, images, raw_pixels)[0]


def _convert_file(
    lowered: keras.Model, recipe: Recipe, io: str, images: Images | None, raw_pixels: bool
) -> tuple[bytes, bytes | None]:
    """The file, and for int8 the float file with the observed ranges that it was made from."""
    import tensorflow as tf

    signature = tf.TensorSpec(lowered.inputs[0].shape, tf.float32, name="image")
    function = tf.function(lambda image: lowered(image, training=False))
    with _quiet():
        # Without the model as second argument: with it, BatchNorm stays unfolded
        # (measured with TensorFlow 2.21).
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function(signature)]
        )
        if recipe.weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe.weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if images is None:
            dtype = tf.as_dtype(io)
            converter.inference_input_type = converter.inference_output_type = dtype
        elif recipe.needs_calibration:
            converter.representative_dataset = lambda: calibration_set(images)
        if recipe.activations == "int16":
            sets = tf.lite.OpsSet
            converter.target_spec.supported_ops = [
                sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
            converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io)
        if recipe.activations == "int8" and images is not None:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            # Calibration and quantisation apart, to mend the ranges in between.
            converter._experimental_calibrate_only = True
        try:
            content = converter.convert()
            if recipe.activations != "int8" or images is None:
                return content, None
            calibrated = mend_ranges(content, raw_pixels)
            return _quantize(calibrated, recipe, io), calibrated
        except Exception as error:  # the converter's own classes differ between versions
            raise RuntimeError(
                f"TensorFlow's converter refuses {lowered.name!r} with recipe {recipe.name!r}, "
                f"built-in operators only: {error}"
            ) from error


def _quantize(calibrated: bytes, recipe: Recipe, io: str) -> bytes:
    """Make an int8 file from a float file that carries the ranges of its tensors."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    dtype = tf.as_dtype(io)
    gates = set(gate_names(calibrated)) if recipe.float_gates else set()
    content = mlir_quantize(
        calibrated, input_data_type=dtype, output_data_type=dtype, denylisted_nodes=gates or None
    )
    return fit_gate_scales(content, calibrated) if gates else content


def _that_take(io: str, recipes: list[Recipe]) -> list[Recipe]:
    """The recipes whose files may have inputs and outputs of this dtype."""
    taking = [recipe for recipe in recipes if io in recipe.ios]
    if not taking:
        raise ValueError(
            f"Recipe {recipes[0].name!r} takes io of {list(recipes[0].ios)}. Received: io={io!r}"
        )
    return taking


def _check_quantized_options(recipe: str | Recipe, preprocess) -> None:
    if getattr(recipe, "name", recipe) != "static_int8":
        raise ValueError(
            "A model from `quantize_aware` converts with recipe 'static_int8'; `strip` gives "
            f"the plain model for the others. Received: recipe={recipe!r}"
        )
    if preprocess is not None:
        raise ValueError(
            "A model from `quantize_aware` was trained with its preprocessing inside: pass "
            f"preprocess to `quantize_aware`. Received: preprocess={preprocess!r}"
        )


def _noise(shape: tuple[int, int, int], raw_pixels: bool) -> Images:
    random = np.random.default_rng(0)
    size = (_NOISE_IMAGES, *shape)
    if raw_pixels:
        return Images(random.integers(0, 256, size, "uint8"))
    return Images(random.normal(size=size).astype("float32"))


def _check_file(inspection: Inspection, recipe: Recipe, io: str, raw_pixels: bool) -> None:
    floats = [op for op in inspection.operators if "float32" in op.dtypes]
    if recipe.float_gates:
        floats = [op for op in floats if op.name not in ("DEQUANTIZE", "LOGISTIC", "QUANTIZE")]
    strict = inspection.is_strict_int8 or (recipe.float_gates and not floats)
    if recipe.activations == "int8" and not strict:
        raise RuntimeError(
            f"The converter left float operators in a file of recipe {recipe.name!r}: "
            f"{sorted({op.name for op in floats})}, tensors {list(inspection.float_tensors)}"
        )
    tensor = inspection.inputs[0]
    expected = (1.0, -128 if io == "int8" else 0)
    if raw_pixels and io in ("uint8", "int8") and (tensor.scale, tensor.zero_point) != expected:
        raise RuntimeError(
            "The converter did not quantise raw pixels as they are stored: scale and zero point "
            f"should be {expected}. Received: {(tensor.scale, tensor.zero_point)}"
        )


@contextlib.contextmanager
def _quiet():
    """Hold back what TensorFlow's converter says about its own deprecated paths."""
    loggers = [logging.getLogger("absl"), logging.getLogger("tensorflow")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
