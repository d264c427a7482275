"""Where a file loses its accuracy: every tensor beside the float file's."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ..file import flatfile
from ..file.run import Runner
from ..inputs.images import Images
from .reasons import magnified, reason_of
from .seen import Seen

_MOST_IMAGES = 8
_LOSS_DB = 3.0  # of an operator by itself: what is named
_LARGE_LOSS_DB = 6.0  # less than this, without a known reason, explains no poor file
_USUAL_SNR_DB = 40.0  # what int8 keeps of a tensor of any one range


@dataclass(frozen=True)
class LayerError:
    """The output of one operator of a file against the same tensor of the float32 file.

    Attributes:
        name: of the tensor.
        operator: "CONV_2D", ...
        snr_db: signal-to-noise ratio of the tensor, in dB, with all errors from before it.
        input_snr_db: the lowest of its inputs; infinite when they are constants or the image.
        reason: why, where it is known: a small gate, clipping, a coarse scale, an outlier,
            rounding that is magnified, numbers beyond float16.
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
    """Compare all tensors that a float file and a file made like it have in common, by name.

    The files are run in LiteRT with these tensors as further outputs, on at most 8 of the
    images. TensorFlow's QuantizationDebugger would convert again, with ranges of its own.

    Args:
        calibrated: the float file that the other was made from, or the model's float32 file.
        quantized: the other: of int8 or int16 activations, or of int8 or float16 weights alone.
        images: as for `convert`.

    Returns:
        One `LayerError` for each operator whose output exists in both, in order of execution;
        none for a file of another converter, which names its tensors in its own way.
    """
    model = flatfile.unpack(quantized)
    float_tensors, tensors = _computed(flatfile.unpack(calibrated)), _computed(model)
    common = {
        name: (float_tensors[name][0], index)
        for name, (index, shape) in tensors.items()
        if name in float_tensors and float_tensors[name][1] == shape
    }
    if not common:
        return ()
    graph = model.subgraphs[0]
    known = {index for _, index in common.values()}
    seen: dict[int, Seen] = {}
    errors = []
    operators = {output: op for op in graph.operators for output in op.outputs}
    for name, tensor in _run_both(calibrated, quantized, common, images).items():
        if not tensor.signal:
            continue
        _, index = common[name]
        operator = _maker(model, operators, known, index)
        kind = flatfile.operator_name(model, operator)
        before = min((_source_snr(seen, operators, i) for i in operator.inputs), default=math.inf)
        reason = reason_of(kind, tensor, graph.tensors[operator.outputs[0]])
        error = LayerError(name, kind, tensor.snr_db, before, reason)
        if reason is None and not error.loss_db < _LOSS_DB:
            rounded = seen.get(operator.inputs[0]) if _is_hybrid(graph, operator) else None
            half = _half_kernel(model, operators, operator)
            error = replace(error, reason=magnified(kind, tensor, half, rounded))
        seen[index] = tensor
        errors.append(error)
    return tuple(errors)


def worst_layers(errors: tuple[LayerError, ...], count: int = 5) -> tuple[LayerError, ...]:
    """Those that lose most by themselves, most first; none that loses less than 3 dB."""
    worst = sorted(errors, key=lambda error: error.loss_db, reverse=True)
    return tuple(error for error in worst[:count] if error.loss_db >= _LOSS_DB)


def spread_loss(errors: tuple[LayerError, ...]) -> str | None:
    """Why a file is poor in which no layer stands out; None where one does."""
    worst = worst_layers(errors)
    if any(error.reason or error.loss_db >= _LARGE_LOSS_DB for error in worst):
        return None
    if not errors:
        return "no tensor of the file can be found in the float32 file"
    known = [error.snr_db for error in errors if math.isfinite(error.snr_db)] or [math.inf]
    limit_db = _LARGE_LOSS_DB if worst else _LOSS_DB
    return (
        f"no operator loses {limit_db:.0f} dB by itself; the rounding of {len(errors)} adds up, "
        f"from {known[0]:.0f} dB after the first down to {min(known):.0f} dB: quantize_aware "
        "trains the network for it, a recipe of more bits avoids it"
    )


def _computed(model) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Index and shape, () where none is stated, by name of the tensors that operators make."""
    graph = model.subgraphs[0]
    indices = [int(index) for operator in graph.operators for index in operator.outputs]
    tensors = [(index, graph.tensors[index]) for index in indices]
    return {
        flatfile.tensor_name(tensor): (index, () if tensor.shape is None else tuple(tensor.shape))
        for index, tensor in tensors
    }


def _run_both(
    calibrated: bytes, quantized: bytes, common: dict[str, tuple[int, int]], images: Images
) -> dict[str, Seen]:
    """What the common tensors, by name with their index in each file, were on a few images.

    Of all of them only those of one invocation are in memory, inside the interpreters.
    """
    indices = zip(*common.values(), strict=True)
    runners = [
        Runner(flatfile.with_outputs(content, list(tensors)))
        for content, tensors in zip((calibrated, quantized), indices, strict=True)
    ]
    seen = {name: Seen() for name in common}
    for image in images.pixels[:_MOST_IMAGES]:
        made = [runner.one_by_one(image, len(common)) for runner in runners]
        for tensor, reference, value in zip(seen.values(), *made, strict=True):
            tensor.add(reference, value)
    return seen


def _maker(model, operators: dict, known: set[int], tensor: int):
    """The operator that computes a tensor, before a change of dtype that the float file lacks."""
    operator = operators[tensor]
    if flatfile.operator_name(model, operator) in ("QUANTIZE", "DEQUANTIZE"):
        source = operator.inputs[0]
        if source in operators and source not in known:
            return operators[source]
    return operator


def _is_hybrid(graph, operator) -> bool:
    """Whether it has an int8 kernel and a float input."""
    dtypes = [flatfile.dtype_name(graph.tensors[index]) for index in operator.inputs[:2]]
    return dtypes == ["float32", "int8"]


def _half_kernel(model, operators: dict, operator) -> np.ndarray | None:
    """The kernel of an operator, if the file has it in float16."""
    widening = operators.get(operator.inputs[1]) if len(operator.inputs) > 1 else None
    if widening is None or flatfile.operator_name(model, widening) != "DEQUANTIZE":
        return None
    tensor = model.subgraphs[0].tensors[widening.inputs[0]]
    content = model.buffers[tensor.buffer].data
    if content is None or flatfile.dtype_name(tensor) != "float16":
        return None
    return np.frombuffer(bytes(content), "float16")


def _source_snr(seen: dict[int, Seen], operators: dict, tensor: int) -> float:
    """SNR of a tensor, or of what it was copied from where its name is in one file only."""
    while tensor not in seen and tensor in operators:
        tensor = operators[tensor].inputs[0]
    return seen[tensor].snr_db if tensor in seen else math.inf
