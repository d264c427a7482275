"""The range in which a sigmoid's input matters, chosen by what is lost of its output."""

from collections import Counter
from itertools import product

import numpy as np

from ..file import flatfile
from ..file.multipliers import REQUANTIZES, finest_step, observed_range
from ..file.run import Runner
from ..inputs.images import Images

# Ends of the ranges that are tried. sigmoid(-5) is 1.7 int8 steps of the gate, sigmoid(-12) 0.002.
_ENDS = (5.0, 6.0, 7.0, 8.0, 10.0, 12.0, np.inf)
_GAIN = 2.0  # a narrower range has to halve the gate's squared error
_MOST_IMAGES = 32
_MOST_VALUES = 20_000  # of a gate, seen for each of the ranges


def clip_logits(calibrated: bytes, images: Images) -> bytes | None:
    """Narrow the ranges of what sigmoids alone read to where the sigmoid is not constant.

    A trained gate may have logits in [-400, 150]. In int8 their step would be 2, which is half
    the way from a gate that is shut to one that is open, and the channels in the middle would be
    drawn by lot. Within 7 of zero the step is 0.055; what lies outside saturates, as the
    sigmoid does.

    Each range is the one of a few that loses least of the gate on the images. Not before a final
    sigmoid, whose logits may be asked for.

    Args:
        calibrated: float .tflite file with the observed ranges, before its quantization to int8.
        images: as for `convert`; at most 32 are looked at.

    Returns:
        The file with ranges narrowed; None where no narrower range halves a gate's error.
    """
    model = flatfile.unpack(calibrated)
    graph = model.subgraphs[0]
    sources = _logits(model)
    if not sources:
        return None
    runner = Runner(flatfile.with_outputs(calibrated, list(sources)))
    rows = [runner(image)[-len(sources) :] for image in images.pixels[:_MOST_IMAGES]]
    clipped = False
    for (index, maker), column in zip(sources.items(), zip(*rows, strict=True), strict=True):
        tensor = graph.tensors[index]
        widest = observed_range(tensor) or (0.0, 0.0)  # `_logits` found one
        values = np.concatenate([value.ravel() for value in column])
        values = values[:: len(values) // _MOST_VALUES | 1]  # odd, to see all channels
        low, high = best_range(values, *widest, finest_step(model, graph, maker))
        if (low, high) != widest:
            tensor.quantization.min, tensor.quantization.max, clipped = [low], [high], True
    return flatfile.pack(model) if clipped else None


def best_range(
    logits: np.ndarray, low: float, high: float, finest: float = 0.0
) -> tuple[float, float]:
    """The part of [low, high] in whose 256 steps a sigmoid loses least.

    Args:
        logits: those of some pictures, of any shape.
        low, high: the observed range, zero included.
        finest: the smallest step that the kernel can give them.

    Returns:
        The ends of the range; `low` and `high` unless another halves the squared error.

    >>> best_range(np.array([-2.0, -1, 0, 1, 2]), -2, 2)
    (-2, 2)
    """
    whole = _gate_error(logits, low, high)
    tried = {(low, high): whole / _GAIN}
    for bottom, top in product(_ENDS, _ENDS):
        ends = max(low, -bottom), min(high, top)
        if ends not in tried and (ends[1] - ends[0]) / 255 > finest:
            tried[ends] = _gate_error(logits, *ends)
    return min(tried, key=lambda ends: tried[ends])


def _gate_error(logits: np.ndarray, low: float, high: float) -> float:
    """Mean squared error of the sigmoid of logits in 256 steps from `low` to `high`."""
    step = (high - low) / 255
    if not step:
        return 0.0
    zero = np.round(-low / step)
    stored = np.clip(np.round(logits.astype("float64") / step) + zero, 0, 255)
    return float(np.square(_sigmoid(logits) - _sigmoid((stored - zero) * step)).mean())


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x.astype("float64")))


def _logits(model) -> dict:
    """What a sigmoid alone reads, and the operator that makes it."""
    graph = model.subgraphs[0]
    final = flatfile.final_activation(model)
    makers = {int(output): op for op in graph.operators for output in op.outputs}
    readers = Counter(int(index) for op in graph.operators for index in op.inputs)
    readers.update(map(int, graph.outputs))
    found = {}
    for operator in graph.operators:
        index = int(operator.inputs[0])
        if flatfile.operator_name(model, operator) != "LOGISTIC" or readers[index] > 1:
            continue
        if index not in makers or (final is not None and index == final[1]):
            continue
        requantizes = flatfile.operator_name(model, makers[index]) in REQUANTIZES
        if requantizes and observed_range(graph.tensors[index]) is not None:
            found[index] = makers[index]
    return found
