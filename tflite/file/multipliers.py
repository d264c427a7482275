"""How much finer than its products the result of an integer kernel may be."""

import math

import numpy as np

from . import flatfile

# XNNPACK refuses a multiplier (step of the products over step of the result) of 256: LiteRT 2.3
# then does not run the file, or ends the process.
_LARGEST = 128
_PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL")
_SUMS = ("ADD", "SUB")
REQUANTIZES = (*_PRODUCTS, *_SUMS)  # operators whose result may have a step of its own


def finest_step(model, graph, operator) -> float:
    """The finest step that XNNPACK's int8 kernel can give to the result of an operator.

    Args:
        model, graph: an unpacked float file with observed ranges, and the operator's subgraph.
        operator: one of the graph.

    Returns:
        The step in units of the result; 0 for operators without this limit.
    """
    name = flatfile.operator_name(model, operator)
    if name not in REQUANTIZES:
        return 0.0
    steps = [_step(model, graph.tensors[index]) for index in operator.inputs[:2]]
    return (max(steps) if name in _SUMS else math.prod(steps)) / _LARGEST


def widen_too_fine(model) -> None:
    """Widen the observed ranges whose steps no kernel can give, in order of execution.

    They are those of a result in which large products cancel, or which a ReLU hardly lets through.

    Args:
        model: an unpacked float file with observed ranges; changed in place.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            finest = finest_step(model, graph, operator)
            tensor = graph.tensors[operator.outputs[0]]
            if observed_range(tensor) is not None and 0 < _step(model, tensor) < finest:
                tensor.quantization.min, tensor.quantization.max = [-128 * finest], [127 * finest]


def observed_range(tensor) -> tuple[float, float] | None:
    """Minimum and maximum of an activation, zero included; None where none were observed."""
    observed = tensor.quantization
    if observed is None or observed.min is None or len(observed.min) != 1:
        return None
    return min(float(observed.min[0]), 0.0), max(float(observed.max[0]), 0.0)


def _step(model, tensor) -> float:
    """The step that int8 will give to a tensor; to the coarsest channel of a kernel."""
    observed, content = observed_range(tensor), model.buffers[tensor.buffer].data
    if observed is not None:
        return (observed[1] - observed[0]) / 255
    if content is None or flatfile.dtype_name(tensor) != "float32":
        return 0.0
    return float(np.abs(np.frombuffer(bytes(content), "float32")).max()) / 127
