"""Where an integer file loses its accuracy: every tensor beside the float file's."""

import math
from dataclasses import dataclass

import numpy as np

from . import flatfile
from .gates import MIN_SNR_DB, STEP
from .images import Images
from .run import Runner

_MOST_IMAGES = 8
_OUTLIER = 16  # times the median channel, in int8
_USUAL_SNR_DB = 40.0  # what int8 keeps of a tensor of any one range


@dataclass(frozen=True)
class LayerError:
    """The output of one operator of an integer file against the same tensor in float.

    Attributes:
        name: of the tensor.
        operator: "CONV_2D", ...
        snr_db: signal-to-noise ratio of the tensor, in dB, with all errors from before it.
        input_snr_db: the lowest of its inputs; infinite when they are constants or the image.
        reason: why, where it is known: a small gate, clipping, a coarse scale, an outlier.
    """

    name: str
    operator: str
    snr_db: float
    input_snr_db: float
    reason: str | None

    @property
    def loss_db(self) -> float:
        """What this operator loses by itself, in dB, beyond the usual rounding to int8 (40 dB)."""
        return min(self.input_snr_db, _USUAL_SNR_DB) - self.snr_db

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.snr_db:5.1f} dB ({-self.loss_db:+.1f}) {self.operator} {self.name}{reason}"


def layer_errors(calibrated: bytes, quantized: bytes, images: Images) -> tuple[LayerError, ...]:
    """Compare all tensors that a float file and its integer file have in common, by name.

    The files are run in LiteRT with these tensors as further outputs, on at most 8 of the
    images. TensorFlow's QuantizationDebugger would convert again, with ranges of its own.

    Args:
        calibrated: the float file that the integer file was made from.
        quantized: the integer file, of int8 or int16 activations.
        images: as for `convert`.

    Returns:
        One `LayerError` for each operator whose output exists in both, in order of execution.
    """
    float_model, model = flatfile.unpack(calibrated), flatfile.unpack(quantized)
    float_tensors, tensors = _computed(float_model), _computed(model)
    names = [name for name in tensors if name in float_tensors]
    references = _run(calibrated, [float_tensors[name] for name in names], images)
    values = _run(quantized, [tensors[name] for name in names], images)
    graph = model.subgraphs[0]
    known = {tensors[name] for name in names}
    snrs, errors = {}, []
    operators = {output: op for op in graph.operators for output in op.outputs}
    for name, reference, value in zip(names, references, values, strict=True):
        if not np.any(reference):
            continue
        operator = _maker(model, operators, known, tensors[name])
        snrs[tensors[name]] = snr = _snr_db(reference, value)
        kind = flatfile.operator_name(model, operator)
        before = min((_source_snr(snrs, operators, i) for i in operator.inputs), default=math.inf)
        reason = _reason(kind, reference, graph.tensors[operator.outputs[0]])
        errors.append(LayerError(name, kind, snr, before, reason))
    return tuple(errors)


def worst_layers(errors: tuple[LayerError, ...], count: int = 5) -> tuple[LayerError, ...]:
    """Those that lose most by themselves, most first; none that loses less than 3 dB."""
    worst = sorted(errors, key=lambda error: error.loss_db, reverse=True)
    return tuple(error for error in worst[:count] if error.loss_db >= 3)


def _computed(model) -> dict[str, int]:
    """Index by name of the tensors that operators make."""
    graph = model.subgraphs[0]
    indices = [int(index) for operator in graph.operators for index in operator.outputs]
    return {graph.tensors[index].name.decode(): index for index in indices}


def _run(content: bytes, tensors: list[int], images: Images) -> list[np.ndarray]:
    runner = Runner(flatfile.with_outputs(content, tensors))
    rows = [runner(image)[-len(tensors) :] for image in images.pixels[:_MOST_IMAGES]]
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _maker(model, operators: dict, known: set[int], tensor: int):
    """The operator that computes a tensor, before a change of dtype that the float file lacks."""
    operator = operators[tensor]
    if flatfile.operator_name(model, operator) in ("QUANTIZE", "DEQUANTIZE"):
        source = operator.inputs[0]
        if source in operators and source not in known:
            return operators[source]
    return operator


def _source_snr(snrs: dict, operators: dict, tensor: int) -> float:
    """SNR of a tensor, or of what it was copied from where its name is in one file only."""
    while tensor not in snrs and tensor in operators:
        tensor = operators[tensor].inputs[0]
    return snrs.get(tensor, math.inf)


def _snr_db(reference: np.ndarray, value: np.ndarray) -> float:
    noise = np.square(reference - value, dtype="float64").sum()
    signal = np.square(reference, dtype="float64").sum()
    return 10 * math.log10(signal / noise) if noise else math.inf


def _reason(kind: str, reference: np.ndarray, tensor) -> str | None:
    """Why an integer tensor cannot hold these values, where one of the known causes is there."""
    quantization, dtype = tensor.quantization, flatfile.dtype_name(tensor)
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None
    scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    limits = np.iinfo(dtype)
    low, high = (limits.min - zero_point) * scale, (limits.max - zero_point) * scale
    smallest, largest = float(reference.min()), float(reference.max())
    power = float(np.square(reference, dtype="float64").mean())
    if kind == "LOGISTIC" and dtype == "int8" and power < 10 ** (MIN_SNR_DB / 10) * STEP**2 / 12:
        return (
            f"small gate, mean {reference.mean():.3g} in steps of 1/256; "
            'use recipe="mixed_int8" or a hard_sigmoid gate'
        )
    if largest - high > 0.1 * (high - low) or low - smallest > 0.1 * (high - low):
        return (
            f"clipped, values in [{smallest:.3g}, {largest:.3g}] where {dtype} holds "
            f"[{low:.3g}, {high:.3g}]: more calibration images, or an operator that shares "
            "its scale with its input"
        )
    if max(abs(smallest), abs(largest)) < 16 * scale:
        return f"coarse scale, values up to {max(-smallest, largest):.3g} in steps of {scale:.3g}"
    channels = np.abs(reference).max(axis=tuple(range(reference.ndim - 1)))
    median = float(np.median(channels))
    outlier = _OUTLIER * (high - low) / (255 * scale)  # as many steps are left to the others
    if len(channels) > 1 and median > 0 and channels.max() > outlier * median:
        return (
            f"outlier channel {int(channels.argmax())}, {channels.max() / median:.0f} times the "
            "median channel: one scale serves both"
        )
    return None
