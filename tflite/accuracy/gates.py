"""The sigmoid gates of a file: what int8 makes of them, and how to keep them in float."""

import math
from dataclasses import dataclass

import numpy as np

from ..file import flatfile
from ..file.multipliers import REQUANTIZES
from ..file.run import Runner
from ..inputs.images import Images

# int8 LOGISTIC has this step in every file: its kernel knows no other.
STEP = 1 / 256
MIN_SNR_DB = 30.0  # a constant gate of 0.036
_MOST_IMAGES = 32
# Kernels that copy values, or take means of neighbours, in one scale.
_SAME_SCALE = (
    "BROADCAST_TO",
    "EXPAND_DIMS",
    "GATHER",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
)
_ANY_SCALE = (*REQUANTIZES, "QUANTIZE", "DEQUANTIZE", "MEAN")  # what may read any scale


@dataclass(frozen=True)
class Gate:
    """A sigmoid whose output multiplies a larger tensor, on the calibration images.

    Attributes:
        name: of its tensor in the file.
        mean, minimum, maximum: of its values, in [0, 1].
        int8_snr_db: 10 log10(mean of its squares / (step^2 / 12)) with the step of 1/256 that
            int8 has for every sigmoid: what rounding alone leaves of the gate, in dB.
    """

    name: str
    mean: float
    minimum: float
    maximum: float
    int8_snr_db: float

    @property
    def is_small(self) -> bool:
        """Whether int8's step is too coarse for it: below 30 dB, a constant gate of 0.036."""
        return self.int8_snr_db < MIN_SNR_DB

    def __str__(self) -> str:
        return f"{self.name}: mean {self.mean:.3g}, {self.int8_snr_db:.1f} dB in steps of 1/256"


def find_gates(model) -> list:
    """The LOGISTIC operators of an unpacked file whose output multiplies a larger tensor.

    Not those of a swish, x sigmoid(x), which are as large as what they multiply.
    """
    graph = model.subgraphs[0]
    producers = {output: operator for operator in graph.operators for output in operator.outputs}
    gates = {}
    for product in graph.operators:
        if flatfile.operator_name(model, product) != "MUL":
            continue
        for tensor in product.inputs:
            operator = _source(model, producers, tensor)
            if operator is None or flatfile.operator_name(model, operator) != "LOGISTIC":
                continue
            if _size(graph, tensor) < _size(graph, product.outputs[0]):
                gates[operator.outputs[0]] = operator
    return list(gates.values())


def _source(model, producers: dict, tensor: int):
    """What made the values of a tensor, but for a constant factor (that of `sigmoid2`)."""
    inputs = list(model.subgraphs[0].inputs)
    while (operator := producers.get(tensor)) is not None:
        name = flatfile.operator_name(model, operator)
        varying = [source for source in operator.inputs if source in producers or source in inputs]
        if name not in _SAME_SCALE and not (name == "MUL" and len(varying) == 1):
            return operator
        tensor = varying[0] if varying else operator.inputs[0]
    return None


def measure_gates(calibrated: bytes, images: Images) -> tuple[Gate, ...]:
    """Means of all gates in a float file, on at most 32 of the images."""
    model = flatfile.unpack(calibrated)
    tensors = [operator.outputs[0] for operator in find_gates(model)]
    if not tensors:
        return ()
    names = [model.subgraphs[0].tensors[tensor].name.decode() for tensor in tensors]
    runner = Runner(flatfile.with_outputs(calibrated, tensors))
    rows = [runner(image)[-len(tensors) :] for image in images.pixels[:_MOST_IMAGES]]
    columns = zip(*rows, strict=True)
    return tuple(_gate(name, np.stack(c)) for name, c in zip(names, columns, strict=True))


def _gate(name: str, values: np.ndarray) -> Gate:
    power = float(np.square(values, dtype="float64").mean())
    snr = 10 * math.log10(power * 12 / STEP**2) if power else -math.inf
    return Gate(name, float(values.mean()), float(values.min()), float(values.max()), snr)


def gate_names(calibrated: bytes) -> list[str]:
    """Names of the tensors that the gates of a float file make."""
    model = flatfile.unpack(calibrated)
    tensors = model.subgraphs[0].tensors
    return [tensors[operator.outputs[0]].name.decode() for operator in find_gates(model)]


def fit_gate_scales(quantized: bytes, calibrated: bytes) -> bytes:
    """Give the gates that were computed in float the int8 scale that fits their range.

    The converter quantizes the result of a LOGISTIC in float with the scale of the int8
    LOGISTIC, and nothing is won (14.4 dB for gates of 0.0025; 43.7 after this).

    Args:
        quantized: int8 file with the gates between DEQUANTIZE and QUANTIZE.
        calibrated: the float file that it was made from, with the observed ranges.
    """
    ranges = {t.name: t.quantization for t in flatfile.unpack(calibrated).subgraphs[0].tensors}
    model = flatfile.unpack(quantized)
    graph = model.subgraphs[0]
    producers = {output: operator for operator in graph.operators for output in operator.outputs}
    for operator in graph.operators:
        name, source = flatfile.operator_name(model, operator), operator.inputs[0]
        was_float = flatfile.dtype_name(graph.tensors[source]) == "float32"  # not int8 to uint8
        if name != "QUANTIZE" or source not in producers or not was_float:
            continue
        if flatfile.operator_name(model, producers[source]) == "LOGISTIC":
            observed = ranges[graph.tensors[source].name]
            scale = max(float(observed.max[0]), 1e-6) / 255
            for index in _of_one_scale(model, operator.outputs[0]):
                quantization = graph.tensors[index].quantization
                quantization.scale, quantization.zeroPoint = [scale], [-128]
    return flatfile.pack(model)


def _of_one_scale(model, tensor: int) -> list[int]:
    """A tensor and all that must have its scale; none where an operator joins it with others."""
    graph, found = model.subgraphs[0], [tensor]
    for index in found:  # which grows
        for operator in graph.operators:
            if index not in operator.inputs:
                continue
            name = flatfile.operator_name(model, operator)
            if name in _SAME_SCALE:
                found += [int(output) for output in operator.outputs]
            elif name not in _ANY_SCALE:
                return []
    return found


def _size(graph, tensor: int) -> int:
    return math.prod(graph.tensors[tensor].shape)
