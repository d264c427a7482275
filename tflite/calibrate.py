"""The ranges of the activations: observed on pictures, and mended where they cannot serve."""

from collections.abc import Iterator

import numpy as np

from . import flatfile
from .images import Images

_ZERO = 1e-6
# XNNPACK adds two int8 tensors when their scales are at least 1/1024 of the sum's.
_SMALLEST_SUMMAND = 1 / 512


def calibration_set(images: Images) -> Iterator[list[np.ndarray]]:
    """Yield every image as the converter wants it: a list of one float32 batch of 1."""
    for image in images.pixels:
        yield [image[None].astype("float32")]


def mend_ranges(calibrated: bytes, raw_pixels: bool) -> bytes:
    """Replace observed ranges that would make a wrong or unusable integer file.

    - Raw pixels get [0, 255], whatever the pictures held: the input's scale is then 1.
    - A tensor that was zero on every picture (a branch with gamma 0, a channel that never
      fires) would get a scale of 8e-9, and XNNPACK may then refuse the whole file (measured
      with ai-edge-litert 2.3). It gets the range of what it flows into.
    - A summand far smaller than the sum would not be delegated. It gets a range that is just
      wide enough; its step is still finer than the sum's.

    Args:
        calibrated: float .tflite file with the observed ranges, before its quantisation.
        raw_pixels: whether the input is raw pixels.

    Returns:
        The file with those ranges replaced.
    """
    model = flatfile.unpack(calibrated)
    for graph in model.subgraphs:
        if raw_pixels:
            _set_range(graph.tensors[graph.inputs[0]], 0, 255)
        for operator in reversed(graph.operators):  # what a tensor flows into is mended first
            result = _bound(graph.tensors[operator.outputs[0]]) or 1.0
            sums = flatfile.operator_name(model, operator) in ("ADD", "SUB")
            for tensor in (graph.tensors[index] for index in operator.inputs if index >= 0):
                observed = _bound(tensor)
                if observed is None:  # a constant
                    continue
                if observed < _ZERO:
                    _set_range(tensor, -result, result)
                elif sums and observed < result * _SMALLEST_SUMMAND:
                    _set_range(tensor, -result * _SMALLEST_SUMMAND, result * _SMALLEST_SUMMAND)
    return flatfile.pack(model)


def _bound(tensor) -> float | None:
    """The largest magnitude that was observed; None where nothing was."""
    observed = tensor.quantization
    if observed is None or observed.min is None or len(observed.min) != 1:
        return None
    return float(max(abs(observed.min[0]), abs(observed.max[0])))


def _set_range(tensor, low: float, high: float) -> None:
    tensor.quantization.min, tensor.quantization.max = [low], [high]
