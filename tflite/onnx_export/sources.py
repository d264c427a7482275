"""What is exported: a Keras model or a .tflite file, and what the ONNX file must reproduce."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ..file.flatfile import with_fixed_batch
from ..file.run import Runner, TensorInfo, read_model
from ..inputs.images import Images, load_images
from ..inputs.normalisation import Normalisation, normalisation
from ..inputs.source import image_shape
from ..lowering.lower import lower
from ..passes import Lowering, rewrite
from ..passes.unroll import unrolled
from ..recipe import get_recipe
from .exporters import export_keras, export_tflite

_NOISE_IMAGES = 8


@dataclass(frozen=True)
class Source:
    """Tensors of what is exported, images, and its outputs on them."""

    kind: str
    input: TensorInfo
    output: TensorInfo
    images: Images
    reference: np.ndarray  # real values, (n, ...)
    export: Callable[..., Any] = field(repr=False)  # (opset, nchw) -> ModelProto


def keras_source(model, preprocess: Normalisation, logits, input_size, images) -> Source:
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "The export needs Keras on TensorFlow: save the model, set KERAS_BACKEND=tensorflow, "
            f"load it again. Received: backend {keras.backend.backend()!r}"
        )
    shape = image_shape(model, input_size)
    added, raw_pixels = normalisation(model, preprocess)
    if images is None:
        images = _noise(shape, 255 if raw_pixels else None)
    images = load_images(images, shape, raw_pixels, strict_labels=False)
    lowered = _without_loops(lower(model, added, logits, input_size=shape[:2]))
    reference = [
        keras.ops.convert_to_numpy(lowered(image[None].astype("float32"), training=False))
        for image in images.pixels
    ]
    return Source(
        kind="float32",
        input=TensorInfo("image", (1, *shape), "float32"),
        output=TensorInfo("output", tuple(lowered.outputs[0].shape), "float32"),
        images=images,
        reference=np.concatenate(reference),
        export=functools.partial(export_keras, lowered),
    )


def _without_loops(lowered: keras.Model) -> keras.Model:
    """Recurrent layers step by step: tf2onnx (1.17) has no operators for TensorFlow's loop."""

    def unroll(operation, *_):
        return unrolled(operation, "An ONNX file")

    return rewrite(lowered, unroll, Lowering(), get_recipe("float32"))


def tflite_source(model, images) -> Source:
    content = read_model(model)
    runner = Runner(content)
    if len(runner.inputs) != 1 or len(runner.outputs) != 1 or len(runner.inputs[0].shape) != 4:
        raise ValueError(
            "Files of image models are exported: one input (1, height, width, channels) and one "
            f"output. Received: inputs={runner.inputs}, outputs={runner.outputs}"
        )
    tensor, shape = runner.inputs[0], runner.inputs[0].shape[1:]
    dtypes = {info["dtype"] for info in runner.interpreter.get_tensor_details()}
    if np.int16 in dtypes:
        raise ValueError(
            "ONNX quantizes to int16 from opset 21, and tf2onnx writes up to 18: export the Keras "
            'model, or a file of another recipe. Received: a file of int16 tensors, as "static_'
            'int16x8" makes'
        )
    if images is None:
        stored = np.arange(256, dtype="uint8").astype(tensor.dtype)  # every value that it takes
        images = _noise(shape, None if tensor.scale is None else tensor.dequantize(stored))
    images = load_images(images, shape, strict_labels=False)
    return Source(
        kind="quantized" if np.int8 in dtypes else "float32",
        input=tensor,
        output=runner.outputs[0],
        images=images,
        reference=np.concatenate([runner(image)[0] for image in images.pixels]),
        export=functools.partial(export_tflite, with_fixed_batch(content), tensor.name),
    )


def _noise(shape, values=None) -> np.ndarray:
    """Images of noise: of given values, of whole numbers up to a limit, or normal."""
    random = np.random.default_rng(0)
    size = (_NOISE_IMAGES, *shape)
    if values is None:
        return random.normal(size=size).astype("float32")
    return random.choice(values, size) if np.ndim(values) else random.integers(0, values + 1, size)
