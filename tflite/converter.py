"""TensorFlow's converter, called so that the file is what a recipe says."""

import contextlib
import itertools
import logging
import re
import warnings

import keras

from .file.inspect import Inspection
from .inputs.images import Images
from .quantization.calibrate import calibration_set, mend_ranges
from .quantization.finish import finish
from .quantization.int8 import quantize_int8
from .quantization.int16 import quantize_int16
from .quantization.summands import observe_summands
from .recipe import Recipe


def run_converter(
    lowered: keras.Model, recipe: Recipe, io: str, images: Images | None, raw_pixels: bool
) -> bytes:
    """Convert a lowered model of batch 1 with TensorFlow's converter.

    Static recipes learn the ranges of the activations from `images`; None takes those of
    the fake quantization in the model.

    Raises:
        RuntimeError: when the converter refuses it.
    """
    return convert_file(lowered, recipe, io, images, raw_pixels)[0]


def convert_file(
    lowered: keras.Model, recipe: Recipe, io: str, images: Images | None, raw_pixels: bool
) -> tuple[bytes, bytes | None]:
    """The file, and the float file with the observed ranges that an integer one was made from."""
    import tensorflow as tf

    signature = tf.TensorSpec(lowered.inputs[0].shape, tf.float32, name="image")
    function = tf.function(lambda image: lowered(image, training=False))
    with _quiet():
        # Without the model as second argument: with it, BatchNorm stays unfolded
        # (measured with TensorFlow 2.21).
        concrete = function.get_concrete_function(signature)
        if images is not None and recipe.needs_calibration:
            _check_loops(concrete, lowered, recipe)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        if recipe.weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe.weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if images is None:
            dtype = tf.as_dtype(io)
            converter.inference_input_type = converter.inference_output_type = dtype
        elif recipe.needs_calibration:
            sets = tf.lite.OpsSet
            converter.representative_dataset = lambda: calibration_set(images)
            converter.target_spec.supported_ops = [
                sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
                if recipe.activations == "int16"
                else sets.TFLITE_BUILTINS_INT8
            ]
            # Calibration and quantization apart, to mend the ranges in between.
            converter._experimental_calibrate_only = True
        with _explained(lowered, recipe):
            content = converter.convert()
        if images is None or not recipe.needs_calibration:
            return finish(content), None
        calibrated = observe_summands(content, images)
        calibrated = mend_ranges(calibrated, raw_pixels, recipe)
        with _explained(lowered, recipe):
            if recipe.activations == "int8":
                return quantize_int8(calibrated, recipe, io, images)
            return finish(quantize_int16(calibrated, io)), calibrated


def _check_loops(concrete, lowered: keras.Model, recipe: Recipe) -> None:
    """Raise for a loop, which integers lack.

    In one that fills an array, such as `keras.ops.map`, TensorFlow's calibrator (2.21) ends the
    process.
    """
    graph = concrete.graph.as_graph_def()
    functions = (function.node_def for function in graph.library.function)
    nodes = itertools.chain(graph.node, *functions)
    loops = sorted(node.name for node in nodes if node.op in ("StatelessWhile", "While"))
    if loops:
        raise RuntimeError(
            f"Recipe {recipe.name!r} takes no loops, of which {lowered.name!r} has {len(loops)}; "
            f"one that computes in float does. Received: {loops[:3]}"
        )


@contextlib.contextmanager
def _explained(lowered: keras.Model, recipe: Recipe):
    """Turn the converter's errors, whose classes differ between versions, into one that says what.

    Raises:
        RuntimeError: for any of them.
    """
    try:
        yield
    except Exception as error:
        reason = _missing_operators(str(error)) or str(error)
        raise RuntimeError(
            f"TensorFlow's converter refuses {lowered.name!r} with recipe {recipe.name!r}, "
            f"built-in operators only: {reason}"
        ) from error


def _missing_operators(message: str) -> str | None:
    """The operators that TensorFlow Lite does not have, out of pages of the compiler's messages.

    >>> _missing_operators("error: 'tf.Erf' op is neither a custom op nor a flex op")
    "TensorFlow Lite has no operator for ['Erf']: replace the layers that compute them"
    """
    names = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", message)))
    if not names:
        return None
    return f"TensorFlow Lite has no operator for {names}: replace the layers that compute them"


def check_file(inspection: Inspection, recipe: Recipe, io: str, raw_pixels: bool) -> None:
    """Raise unless a file has the dtypes of its recipe, and takes raw pixels if it should."""
    floats = [op for op in inspection.operators if "float32" in op.dtypes]
    if recipe.float_gates:
        floats = [op for op in floats if op.name not in ("DEQUANTIZE", "LOGISTIC", "QUANTIZE")]
    strict = inspection.is_strict_int8 or (recipe.float_gates and not floats)
    if recipe.activations == "int8" and not strict:
        raise RuntimeError(
            f"The converter left float operators in a file of recipe {recipe.name!r}: "
            f"{sorted({op.name for op in floats})}. Replace the layers that need them, or take a "
            f"recipe that computes in float. Tensors: {list(inspection.float_tensors)[:5]}"
        )
    tensor = inspection.inputs[0]
    expected = (1.0, -128 if io == "int8" else 0)
    if raw_pixels and io in ("uint8", "int8") and (tensor.scale, tensor.zero_point) != expected:
        raise RuntimeError(
            "The converter did not quantize raw pixels as they are stored: scale and zero point "
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
