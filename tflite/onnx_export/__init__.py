"""Export a Keras model, or a .tflite file, to an ONNX file that was run before it is saved."""

import os
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from ...files import write_whole
from ..accuracy.scores import snr_db
from ..inputs.normalisation import Normalisation
from ..result import Result
from .result import OnnxResult
from .session import listening, renamed, run
from .sources import keras_source, tflite_source

LAYOUTS = ("nhwc", "nchw")
OPSETS = range(13, 19)  # QDQ per channel begins with 13, and tf2onnx 1.17 ends with 18
# Float exports differ by rounding (105 dB and more, measured). Integer kernels of the two
# runtimes round differently now and then, and ONNX has no dynamic-range convolution.
_MIN_SNR_DB = {"float32": 60, "quantized": 20}


def to_onnx(
    model: keras.Model | Result | bytes | str | os.PathLike,
    path: str | os.PathLike,
    opset: int = 17,
    layout: str = "nhwc",
    *,
    preprocess: Normalisation = None,
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
            [0, 255]; "included" for a model that normalises them itself, as for `convert`. A
            model from `quantize_aware` knows. Keras models alone.
        logits: leave out a final softmax or sigmoid; Keras models alone.
        input_size: height and width in pixels, for a Keras model that leaves them open.
        images: what to compare on, as for `convert`; noise without.
        overwrite: replace a file that is there.

    Returns:
        An `OnnxResult`.

    Raises:
        ImportError: when tf2onnx or onnxruntime is missing.
        FileExistsError: when there is a file and `overwrite` is False.
        FileNotFoundError: when the folder of `path` is missing.
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
    if not path.parent.is_dir():
        raise FileNotFoundError(f"No such folder: {str(path.parent)!r}")
    _import_extra()
    if isinstance(model, (Result, bytes, bytearray, str, os.PathLike)):
        if preprocess is not None or logits or input_size is not None:
            raise ValueError(
                "A .tflite file is exported as it is: preprocess, logits and input_size belong "
                f"to its conversion. Received: preprocess={preprocess!r}, logits={logits}, "
                f"input_size={input_size}"
            )
        source = tflite_source(model.model if isinstance(model, Result) else model, images)
    else:
        source = keras_source(model, preprocess, logits, input_size, images)

    with listening() as messages:
        try:
            proto = source.export(opset, layout == "nchw")
            outputs = run(proto, source, layout)
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
        input=renamed(source.input, graph.input[0].name, layout),
        output=renamed(source.output, graph.output[0].name),
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
