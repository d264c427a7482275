"""Convert a Keras model to a .tflite file that was run before it is returned."""

import contextlib
import logging
import warnings
from collections.abc import Sequence
from importlib.metadata import version

import keras
import numpy as np

from . import flatfile
from .calibrate import calibration_set, mend_ranges
from .compare import compare_lowered
from .images import Images, load_images
from .inspect import Inspection, inspect
from .lower import drop_final_activation, lower
from .metadata import add_metadata, check_classifier
from .preprocess import Preprocess
from .recipe import Recipe, get_recipe
from .result import BoundNotMet, Report, Result
from .source import image_shape

_NOISE_IMAGES = 8


def convert(
    model: keras.Model,
    recipe: str | Recipe = "static_int8",
    calibration=None,
    *,
    io: str | None = None,
    logits: bool = False,
    preprocess: Preprocess | None = None,
    input_size: int | tuple[int, int] | None = None,
    min_snr_db: float | None = None,
    min_agreement: float | None = None,
    labels: Sequence[str] | None = None,
) -> Result:
    """Convert a Keras 3 image model to TensorFlow Lite, and measure what was lost.

    The model is lowered (`keras_se.tflite.lower`), its batch fixed to 1, converted with the
    built-in operators alone, and run beside the Keras model on the caller's images.

    Args:
        model: functional or Sequential model, one image input and one output.
        recipe: a name in `RECIPES`, or a `Recipe`.
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
        min_snr_db: refuse a file with a lower signal-to-noise ratio, in dB.
        min_agreement: refuse a file with a lower top-1 agreement, in [0, 1].
        labels: name of each class, for a file that an app's image classifier loads as it is
            (`keras_se.tflite.add_metadata`); needs `preprocess`, since apps feed raw pixels.

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
        BoundNotMet: when the file misses `min_snr_db` or `min_agreement`.
    """
    recipe = get_recipe(recipe)
    io = _checked_io(io, recipe)
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Conversion needs Keras on TensorFlow: save the model, set KERAS_BACKEND=tensorflow, "
            f"load it again. Received: backend {keras.backend.backend()!r}"
        )
    shape = image_shape(model, input_size)
    outputs = model.outputs[0].shape
    if min_agreement is not None and (len(outputs) != 2 or outputs[1] == 1):
        raise ValueError(
            "min_agreement needs an output of one row of classes. "
            f"Received: min_agreement={min_agreement}, output {outputs}"
        )
    raw_pixels = preprocess is not None
    if labels is not None:
        if not raw_pixels:
            raise ValueError(
                "labels make a file that apps feed raw pixels: pass preprocess=. For a model that "
                "needs none, or with mean= and std= for the app to apply, convert without labels "
                "and call keras_se.tflite.add_metadata"
            )
        check_classifier((1, *shape), io, (1, *outputs[1:]), io, labels)
    if calibration is not None:
        images, compared_on = load_images(calibration, shape, raw_pixels), "images"
    elif recipe.needs_calibration:
        raise ValueError(
            f"Recipe {recipe.name!r} needs images to learn the ranges of the activations: pass "
            "calibration=, an array, a dataset or a directory; some hundred typical pictures"
        )
    else:
        images, compared_on = _noise(shape, raw_pixels), "noise"

    lowered = lower(model, preprocess, input_size=shape[:2])
    final = (drop_final_activation(lowered) or lowered) if logits else lowered
    content = run_converter(final, recipe, io, images, raw_pixels)
    try:
        inspection = inspect(content)
    except ValueError as error:
        raise RuntimeError(f"The converted file does not run: {error}") from error
    _check_file(inspection, recipe, io, raw_pixels)
    report = Report(
        io=io,
        preprocess=raw_pixels,
        logits=final is not lowered,
        comparison=compare_lowered(lowered, content, images),
        compared_on=compared_on,
        inspection=inspection,
        versions={name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")},
    )
    result = Result(content, recipe, report)
    if labels is not None:
        result = add_metadata(result, labels, name=model.name)
    _check_bounds(result, min_snr_db, min_agreement)
    return result


def run_converter(
    lowered: keras.Model, recipe: Recipe, io: str, images: Images, raw_pixels: bool
) -> bytes:
    """Convert a lowered model of batch 1 with TensorFlow's converter.

    Raises:
        RuntimeError: when the converter refuses it.
    """
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
        if recipe.activations == "int8":
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: calibration_set(images)
            # Calibration and quantisation apart, to mend the ranges in between.
            converter._experimental_calibrate_only = True
        try:
            content = converter.convert()
            if recipe.needs_calibration:
                content = _quantize(mend_ranges(content, raw_pixels), io)
            # Packed anew, because the converter's Python part leaves the weights unaligned.
            return flatfile.pack(flatfile.unpack(content))
        except Exception as error:  # the converter's own classes differ between versions
            raise RuntimeError(
                f"TensorFlow's converter refuses {lowered.name!r} with recipe {recipe.name!r}, "
                f"built-in operators only: {error}"
            ) from error


def _quantize(calibrated: bytes, io: str) -> bytes:
    """Make an int8 file from a float file that carries the ranges of its tensors."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    dtype = tf.as_dtype(io)
    return mlir_quantize(calibrated, input_data_type=dtype, output_data_type=dtype)


def _checked_io(io: str | None, recipe: Recipe) -> str:
    if io is not None and io not in recipe.ios:
        raise ValueError(
            f"Recipe {recipe.name!r} takes io of {list(recipe.ios)}. Received: io={io!r}"
        )
    return io or recipe.ios[0]


def _noise(shape: tuple[int, int, int], raw_pixels: bool) -> Images:
    random = np.random.default_rng(0)
    size = (_NOISE_IMAGES, *shape)
    if raw_pixels:
        return Images(random.integers(0, 256, size, "uint8"))
    return Images(random.normal(size=size).astype("float32"))


def _check_file(inspection: Inspection, recipe: Recipe, io: str, raw_pixels: bool) -> None:
    if recipe.activations == "int8" and not inspection.is_strict_int8:
        floats = [op for op in inspection.operators if "float32" in op.dtypes]
        raise RuntimeError(
            f"The converter left float operators in a file of recipe {recipe.name!r}: "
            f"{sorted({op.name for op in floats})}, tensors {list(inspection.float_tensors)}"
        )
    tensor = inspection.inputs[0]
    expected = (1.0, -128 if io == "int8" else 0)
    if raw_pixels and io != "float32" and (tensor.scale, tensor.zero_point) != expected:
        raise RuntimeError(
            "The converter did not quantise raw pixels as they are stored: scale and zero point "
            f"should be {expected}. Received: {(tensor.scale, tensor.zero_point)}"
        )


def _check_bounds(result: Result, min_snr_db: float | None, min_agreement: float | None) -> None:
    comparison = result.report.comparison
    if min_snr_db is not None and not comparison.snr_db >= min_snr_db:
        raise BoundNotMet(
            f"The file has an SNR of {comparison.snr_db:.1f} dB, below min_snr_db={min_snr_db}",
            result,
        )
    if min_agreement is not None and comparison.agreement < min_agreement:
        raise BoundNotMet(
            f"The file's top-1 agreement is {comparison.agreement:.4f}, below "
            f"min_agreement={min_agreement}",
            result,
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
