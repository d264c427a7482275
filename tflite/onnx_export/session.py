"""An ONNX file checked and run in onnxruntime, and what tf2onnx says meanwhile."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

import numpy as np

from ..file.run import TensorInfo
from .sources import Source


def run(proto, source: Source, layout: str) -> np.ndarray:
    """Outputs as real values, (n, ...), from a file that passes ONNX's checker."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    expected = renamed(source.input, "", layout).shape
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


def renamed(tensor: TensorInfo, name: str, layout: str = "nhwc") -> TensorInfo:
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
def listening() -> Iterator[list[str]]:
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
