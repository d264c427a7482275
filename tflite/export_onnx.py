"""Export a Keras model, or a .tflite file, to an ONNX file that was run before it is saved."""

import contextlib
import functools
import logging
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..files import write_whole
from .compare import snr_db
from .images import Images, load_images
from .lower import lower
from .preprocess import Preprocess
from .result import Result
from .run import Runner, TensorInfo, read_model
from .source import image_shape

LAYOUTS = ("nhwc", "nchw")
OPSETS = range(13, 19)  # QDQ per channel begins with 13, and tf2onnx 1.17 ends with 18
_NOISE_IMAGES = 8
# Float exports differ by rounding (105 dB and more, measured). Integer kernels of the two
# runtimes round differently now and then, and ONNX has no dynamic-range convolution.
_MIN_SNR_DB = {"float32": 60, "quantised": 20}


@dataclass(frozen=True)
class OnnxResult:
    """An ONNX file that was checked, run and saved.

    Attributes:
        path: where it lies.
        opset: version of the ONNX operators.
        layout: order of the input's axes, "nhwc" or "nchw".
        input, output: name, shape, dtype and quantisation.
        operators: how often each operator occurs.
        snr_db: 10 log10(sum ref^2 / sum (ref - onnx)^2) of the outputs in dB, where ref is the
            Keras model or the .tflite file; infinite when they are equal.
        max_abs_error: of the same values.
        images: number of images they were compared on.
        compared_on: "images" of the caller, or "noise".
        size_bytes: size of the file.
    """

    path: Path
    opset: int
    layout: str
    input: TensorInfo
    output: TensorInfo
    operators: dict[str, int]
    snr_db: float
    max_abs_error: float
    images: int
    compared_on: str
    size_bytes: int

    def to_dict(self) -> dict:
        """The fields as a JSON-able dictionary; an infinite SNR as a string."""
        snr = self.snr_db if np.isfinite(self.snr_db) else str(self.snr_db)
        return asdict(self) | {"path": str(self.path), "snr_db": snr}

    def __str__(self) -> str:
        operators = ", ".join(f"{count} x {name}" for name, count in self.operators.items())
        return "\n".join(
            [
                f"{self.size_bytes} bytes, opset {self.opset}",
                f"input {self.input.name}: {self.input.dtype} {list(self.input.shape)}",
                f"output {self.output.name}: {self.output.dtype} {list(self.output.shape)}",
                operators,
                f"{self.images} {self.compared_on} compared in onnxruntime"
                if self.compared_on == "images"
                else f"compared on {self.images} images of noise in onnxruntime",
                f"SNR              {self.snr_db:.1f} dB",
                f"absolute error   {self.max_abs_error:.3g} max",
            ]
        )


@dataclass(frozen=True)
class _Source:
    """What is exported: its tensors, and what the ONNX file must reproduce."""

    kind: str
    input: TensorInfo
    output: TensorInfo
    images: Images
    reference: np.ndarray  # real values, (n, ...)
    export: Callable[..., Any] = field(repr=False)  # (opset, nchw) -> ModelProto


def to_onnx(
    model: keras.Model | Result | bytes | str | os.PathLike,
    path: str | os.PathLike,
    opset: int = 17,
    layout: str = "nhwc",
    *,
    preprocess: Preprocess | None = None,
    logits: bool = False,
    input_size: int | tuple[int, int] | None = None,
    images=None,
    overwrite: bool = False,
) -> OnnxResult:
    """Export to ONNX with tf2onnx, and save the file once onnxruntime has reproduced the source.

    A Keras model is lowered (`keras_se.tflite.lower`) and exported in float32. A .tflite file
    keeps its number format: an int8 one becomes QuantizeLinear / DequantizeLinear pairs with
    the same scales, whose results are equal bit by bit but for rare roundings. The batch is 1.
    Needs the extra `onnx`.

    Args:
        model: functional or Sequential Keras model with one image input and one output; or a
            .tflite file of such a model, as `Result`, bytes or path.
        path: the file to write; its folder must exist.
        opset: version of the ONNX operators, 13 to 18.
        layout: order of the input's axes in the file: "nhwc", as Keras has it, or "nchw".
        preprocess: put this normalisation into the file, which then takes raw RGB pixels in
            [0, 255]; Keras models alone.
        logits: leave out a final softmax or sigmoid; Keras models alone.
        input_size: height and width in pixels, for a Keras model that leaves them open.
        images: what to compare on, as for `convert`; noise without.
        overwrite: replace a file that is there.

    Returns:
        An `OnnxResult`.

    Raises:
        ImportError: when tf2onnx or onnxruntime is missing.
        FileExistsError: when there is a file and `overwrite` is False.
        TypeError, ValueError: as for `convert`, and for an unknown opset or layout; all before
            the export starts.
        RuntimeError: when tf2onnx cannot export the model, or the file does not pass ONNX's
            checker, does not run, or does not reproduce the source. Nothing is written then.
    """
    path = Path(path)
    if opset not in OPSETS:
        raise ValueError(f"opset must be in 13..18. Received: opset={opset!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"Unknown layout {layout!r}; expected one of {list(LAYOUTS)}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it")
    _import_extra()
    if isinstance(model, (Result, bytes, bytearray, str, os.PathLike)):
        if preprocess is not None or logits or input_size is not None:
            raise ValueError(
                "A .tflite file is exported as it is: preprocess, logits and input_size belong "
                f"to its conversion. Received: preprocess={preprocess!r}, logits={logits}, "
                f"input_size={input_size}"
            )
        source = _tflite_source(model.model if isinstance(model, Result) else model, images)
    else:
        source = _keras_source(model, preprocess, logits, input_size, images)

    with _listening() as messages:
        try:
            proto = source.export(opset, layout == "nchw")
            outputs = _run(proto, source, layout)
        except Exception as error:  # of tf2onnx, onnx or onnxruntime, each with its own classes
            reported = f" tf2onnx reported: {'; '.join(messages)}" if messages else ""
            raise RuntimeError(
                f"The model cannot be exported to ONNX: {error}.{reported}"
            ) from error
    ratio = snr_db(source.reference, outputs)
    if not ratio >= _MIN_SNR_DB[source.kind]:  # also when it is NaN
        raise RuntimeError(
            f"The ONNX file does not reproduce its source: SNR {ratio:.1f} dB on "
            f"{len(source.images)} images, at least {_MIN_SNR_DB[source.kind]} dB expected"
        )
    content = proto.SerializeToString()
    write_whole(path, content)
    graph = proto.graph
    return OnnxResult(
        path=path,
        opset=opset,
        layout=layout,
        input=_renamed(source.input, graph.input[0].name, layout),
        output=_renamed(source.output, graph.output[0].name),
        operators=dict(Counter(node.op_type for node in graph.node)),
        snr_db=ratio,
        max_abs_error=float(np.abs(source.reference - outputs).max()),
        images=len(source.images),
        compared_on="noise" if images is None else "images",
        size_bytes=len(content),
    )


def _import_extra() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'to_onnx needs tf2onnx and onnxruntime: pip install "keras-se[onnx]" ({error})'
        ) from error


def _keras_source(model, preprocess, logits, input_size, images) -> _Source:
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "The export needs Keras on TensorFlow: save the model, set KERAS_BACKEND=tensorflow, "
            f"load it again. Received: backend {keras.backend.backend()!r}"
        )
    shape = image_shape(model, input_size)
    raw_pixels = preprocess is not None
    if images is None:
        images = _noise(shape, 255 if raw_pixels else None)
    images = load_images(images, shape, raw_pixels)
    lowered = lower(model, preprocess, logits, input_size=shape[:2])
    reference = [
        keras.ops.convert_to_numpy(lowered(image[None].astype("float32"), training=False))
        for image in images.pixels
    ]
    return _Source(
        kind="float32",
        input=TensorInfo("image", (1, *shape), "float32"),
        output=TensorInfo("output", tuple(lowered.outputs[0].shape), "float32"),
        images=images,
        reference=np.concatenate(reference),
        export=functools.partial(_export_keras, lowered),
    )


def _tflite_source(model, images) -> _Source:
    content = read_model(model)
    runner = Runner(content)
    if len(runner.inputs) != 1 or len(runner.outputs) != 1 or len(runner.inputs[0].shape) != 4:
        raise ValueError(
            "Files of image models are exported: one input (1, height, width, channels) and one "
            f"output. Received: inputs={runner.inputs}, outputs={runner.outputs}"
        )
    tensor, shape = runner.inputs[0], runner.inputs[0].shape[1:]
    if images is None:
        stored = np.arange(256, dtype="uint8").astype(tensor.dtype)  # every value that it takes
        images = _noise(shape, None if tensor.scale is None else tensor.dequantize(stored))
    images = load_images(images, shape)
    quantised = any(
        detail["dtype"] == np.int8 for detail in runner.interpreter.get_tensor_details()
    )
    return _Source(
        kind="quantised" if quantised else "float32",
        input=tensor,
        output=runner.outputs[0],
        images=images,
        reference=np.concatenate([runner(image)[0] for image in images.pixels]),
        export=functools.partial(_export_tflite, content, tensor.name),
    )


def _noise(shape, values=None) -> np.ndarray:
    """Images of noise: of given values, of whole numbers up to a limit, or normal."""
    random = np.random.default_rng(0)
    size = (_NOISE_IMAGES, *shape)
    if values is None:
        return random.normal(size=size).astype("float32")
    return random.choice(values, size) if np.ndim(values) else random.integers(0, values + 1, size)


def _export_keras(lowered: keras.Model, opset: int, nchw: bool):
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    for layer in lowered.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1:
            layer.convolution_op = functools.partial(_grouped_convolution, layer)
    signature = tf.TensorSpec(lowered.inputs[0].shape, tf.float32, name="image")
    function = tf.function(lambda image: lowered(image, training=False))
    # Frozen here: tf2onnx would make an input of every captured constant (Normalization's).
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(signature))
    (image,), (output,) = frozen.inputs, frozen.outputs
    proto, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        name=lowered.name,
        input_names=[image.name],
        output_names=[output.name],
        opset=opset,
        inputs_as_nchw=[image.name] if nchw else None,
        custom_rewriter=[_scalars_as_vectors],
        tensors_to_rename={image.name: "image", output.name: "output"},
    )
    return proto


def _grouped_convolution(layer, inputs, kernel):
    """Keras compiles a grouped convolution with XLA, which tf2onnx cannot read."""
    import tensorflow as tf

    padding, strides, dilations = layer.padding.upper(), layer.strides, layer.dilation_rate
    return tf.nn.convolution(inputs, kernel, strides, padding, dilations=dilations)


def _scalars_as_vectors(graph, operations):
    """Write a scalar summand as a vector of one.

    tf2onnx 1.17 takes it for a bias when it moves transpositions, fails on its empty shape and
    leaves all of them in the file: 106 in MobileNetV3Small, whose hard sigmoids add 3.
    """
    for node in operations:
        if node.type not in ("Add", "AddV2"):
            continue
        for index, summand in enumerate(node.inputs):
            if not summand.is_const() or not graph.get_rank(node.input[1 - index]):
                continue
            value = summand.get_tensor_value(as_list=False)
            if value.shape == ():
                vector = graph.make_const(f"{node.name}_summand_{index}", value.reshape(1))
                graph.replace_input(node, node.input[index], vector.output[0], index)
    return graph.get_nodes()


def _export_tflite(content: bytes, input_name: str, opset: int, nchw: bool):
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        proto, _ = tf2onnx.convert.from_tflite(
            str(path), opset=opset, inputs_as_nchw=[input_name] if nchw else None
        )
    return proto


def _run(proto, source: _Source, layout: str) -> np.ndarray:
    """Outputs as real values, (n, ...), from a file that passes ONNX's checker."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    expected = _renamed(source.input, "", layout).shape
    got = [tuple(tensor.shape) for tensor in session.get_inputs()]
    if got != [expected]:
        raise ValueError(f"its inputs should be {[expected]}. Received: {got}")
    name = session.get_inputs()[0].name
    outputs = []
    for image in source.images.pixels:
        stored = source.input.quantize(image)[None]
        stored = stored.transpose(0, 3, 1, 2) if layout == "nchw" else stored
        outputs.append(source.output.dequantize(session.run(None, {name: stored})[0]))
    return np.concatenate(outputs)


def _renamed(tensor: TensorInfo, name: str, layout: str = "nhwc") -> TensorInfo:
    n, *rest = tensor.shape
    if layout == "nchw":
        height, width, channels = rest
        rest = [channels, height, width]
    return TensorInfo(name, (n, *rest), tensor.dtype, tensor.scale, tensor.zero_point)


class _Collector(logging.Handler):
    """Appends the text of errors to a list."""

    def __init__(self, messages: list[str]):
        super().__init__(logging.ERROR)
        self.messages = messages

    def emit(self, record):
        self.messages.append(record.getMessage())


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect the errors that tf2onnx logs and does not raise, and keep the rest quiet."""
    messages: list[str] = []
    handler = _Collector(messages)
    ours, others = logging.getLogger("tf2onnx"), logging.getLogger("tensorflow")
    propagate, level = ours.propagate, others.level
    ours.addHandler(handler)
    ours.propagate = False
    others.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield messages
    finally:
        ours.removeHandler(handler)
        ours.propagate = propagate
        others.setLevel(level)
