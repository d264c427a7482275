"""The ranges of what sums and products read, observed where TensorFlow's calibrator errs."""

import numpy as np

from ..file import flatfile
from ..file.run import Runner
from ..inputs.images import Images

_IN_PLACE = ("ADD", "DIV", "MUL", "SUB")


def observe_summands(calibrated: bytes, images: Images) -> bytes:
    """Observe the inputs of sums and products anew, before something is written over them.

    TensorFlow's calibrator (2.21) looks at an operator's inputs once more after it has run. A sum
    takes the memory of its first summand, so that the summand gets the range of the sum too: the
    branch of a residual block that of the shortcut, and steps that are up to twice as coarse.

    Args:
        calibrated: float .tflite file with the observed ranges, before its quantization.
        images: those that calibrated it.

    Returns:
        The file with the ranges of these tensors as they are on the images.
    """
    model = flatfile.unpack(calibrated)
    graph = model.subgraphs[0]
    made = {int(index) for operator in graph.operators for index in operator.outputs}
    read = [
        int(index)
        for operator in graph.operators
        if flatfile.operator_name(model, operator) in _IN_PLACE
        for index in operator.inputs
    ]
    tensors = [index for index in dict.fromkeys(read) if index in made and _observed(graph, index)]
    if not tensors:
        return calibrated
    runner = Runner(flatfile.with_outputs(calibrated, tensors))
    ends = np.array([[np.inf, -np.inf]] * len(tensors))
    for image in images.pixels:
        for row, value in zip(ends, runner.one_by_one(image, len(tensors)), strict=True):
            row[:] = min(row[0], value.min()), max(row[1], value.max())
    for index, (low, high) in zip(tensors, ends.tolist(), strict=True):
        quantization = graph.tensors[index].quantization
        quantization.min, quantization.max = [low], [high]
    return flatfile.pack(model)


def _observed(graph, index: int) -> bool:
    quantization = graph.tensors[index].quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) == 1
