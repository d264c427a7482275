"""Quantization-aware training: a model that computes as its int8 file will, and trains."""

from collections.abc import Callable

import keras

from ...graph import unique_names
from ..inputs.images import load_images
from ..inputs.normalisation import Normalisation, normalisation
from ..inputs.source import class_names_of, image_shape
from ..lowering.lower import lower
from ..passes import Lowering, rewrite
from ..passes.window_pool import window_pool
from ..recipe import get_recipe
from .canonical import canonical
from .fake_quant import FakeQuant
from .graph import Node, copy_of, rebuild, trace
from .layers import (
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    QuantizedRescaling,
)
from .model import (
    QuantizedModel,
    check_quantized,
    fake_quants,
    is_quantized,
    takes_raw_pixels,
)
from .placement import Range, check_supported, clipped_at, place_ranges

_QUANTIZED = {
    keras.layers.Conv2D: QuantizedConv2D,
    keras.layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
    keras.layers.Dense: QuantizedDense,
    keras.layers.Rescaling: QuantizedRescaling,
}
_PLAIN = {quantized: plain for plain, quantized in _QUANTIZED.items()}
_BATCH = 32


def quantize_native(
    model: keras.Model,
    preprocess: Normalisation = None,
    calibration=None,
    input_size: int | tuple[int, int] | None = None,
) -> keras.Model:
    """`quantize_aware` with the layers of this package."""
    shape = image_shape(model, input_size)
    if is_quantized(model):
        raise ValueError(f"{model.name!r} is quantized already; `strip` undoes it")
    added, raw_pixels = normalisation(model, preprocess)
    images = None
    if calibration is not None:
        images = load_images(calibration, shape, raw_pixels, strict_labels=False)
    lowered = lower(model, added, batch_size=None, input_size=shape[:2])
    lowered = rewrite(lowered, window_pool, Lowering(), get_recipe("static_int8"))
    quantized = _with_fake_quant(canonical(lowered), raw_pixels)
    quantized.class_names = class_names_of(model)
    if images is not None:
        calibrate_ranges(quantized, images)
    return quantized


def calibrate_ranges(model: keras.Model, images, batch_size: int = _BATCH) -> None:
    """Set the learnt ranges from pictures, without training anything else.

    The ranges start anew: each becomes the mean over the batches of their minimum and
    maximum.

    Args:
        model: result of `quantize_aware`; changed in place.
        images: as the model takes them: an array, a list, a dataset or a directory
            (`keras_se.tflite.load_images`); some hundred typical pictures. Labels, or whatever
            else a dataset yields, are not used.
        batch_size: pictures at a time.

    Raises:
        ValueError: for a model that is not quantized, or images that do not fit.
    """
    check_quantized(model)
    shape = model.inputs[0].shape[1:]
    pixels = load_images(images, shape, takes_raw_pixels(model), strict_labels=False).pixels
    learning = [layer for layer in fake_quants(model) if layer.learns]
    for layer in learning:
        layer.batches.assign([0.0] * layer.sources)
        layer.observing = True
    try:
        for start in range(0, len(pixels), batch_size):
            model(pixels[start : start + batch_size].astype("float32"), training=False)
    finally:
        for layer in learning:
            layer.observing = False


def strip(model: keras.Model) -> keras.Model:
    """The plain model behind a quantized one, with the trained weights.

    It is the lowered form of the model that was quantized: primitive Keras layers, float32,
    trainable, preprocessing included if there was any: then it is converted with
    `preprocess="included"`.

    Args:
        model: result of `quantize_aware`, trained or not. It is not changed.

    Raises:
        TypeError, ValueError: for a model that is not quantized.
    """
    check_quantized(model)
    clips = {}
    for node in trace(model):
        if node.is_a(FakeQuant) and node.operation.clips:
            clips[id(node.inputs[0].operation)] = node.operation.high

    def plain(operation):
        if isinstance(operation, FakeQuant):
            return None
        if id(operation) in clips:
            return keras.layers.ReLU(clips[id(operation)], name=operation.name, dtype="float32")
        return copy_of(operation, _PLAIN.get(type(operation)))

    stripped = rebuild(model, plain)
    stripped.class_names = class_names_of(model)
    return stripped


def _with_fake_quant(plain: keras.Model, raw_pixels: bool) -> QuantizedModel:
    """Quantized kernels, and a `FakeQuant` after every node that `place_ranges` names."""
    nodes = trace(plain)
    check_supported(nodes)
    after: dict[Node, tuple[FakeQuant, int]] = {}
    unique_name = unique_names({layer.name for layer in plain.layers})
    for group in place_ranges(nodes, raw_pixels):
        layer = _fake_quant(group, unique_name)
        after |= {node: (layer, source) for source, node in enumerate(group.nodes)}
    replaced = {}

    def replace(operation):
        if id(operation) not in replaced:
            replaced[id(operation)] = _quantized_copy(operation)
        return replaced[id(operation)]

    def call(operation, *args, **kwargs):
        node = next(calls)
        outputs = replace(operation)(*args, **kwargs)
        replace(operation).set_weights(operation.get_weights())
        return rounded(node, outputs)

    def rounded(node, x):
        layer, source = after.get(node, (None, 0))
        return x if layer is None else layer(x, source=source)

    calls = iter(nodes[1:])
    tensor = plain.inputs[0]
    inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    outputs = plain._run_through_graph(rounded(nodes[0], inputs), call_fn=call)
    return QuantizedModel(inputs, keras.tree.flatten(outputs)[0], name=plain.name)


def _fake_quant(group: Range, unique_name: Callable[[str], str]) -> FakeQuant:
    operation = group.nodes[0].operation  # a shared one has a range for each call
    name = unique_name(f"{operation.name}_range" if operation else "input_range")
    if group.bounds is None:
        return FakeQuant(sources=len(group.nodes), name=name, dtype="float32")
    low, high = group.bounds
    clips = operation is not None and clipped_at(operation) is not None
    return FakeQuant(low, high, clips=clips, name=name, dtype="float32")


def _quantized_copy(operation):
    if clipped_at(operation) is not None:  # the range clips
        return keras.layers.Activation("relu", name=operation.name, dtype="float32")
    return copy_of(operation, _QUANTIZED.get(type(operation)))
