"""The form of a quantized model that TensorFlow's converter takes."""

from collections import Counter

import keras
import numpy as np

from ..passes.merge_groups import merged_groups, widen_groups
from .fake_quant import FakeQuant
from .graph import Node, copy_of, rebuild, trace
from .integers import output_step
from .kernel import Kernel
from .layers import DeployedConv2D, QuantizedConv2D, QuantizedDense, QuantizedDepthwiseConv2D
from .model import check_quantized

_ZERO = 1e-6
# XNNPACK adds two int8 tensors when their scales are at least 1/1024 of the sum's.
_SMALLEST_SUMMAND = 1 / 512
_QUANTIZED = (DeployedConv2D, QuantizedDense, QuantizedDepthwiseConv2D)


def deployed(model: keras.Model, groups: str = "auto") -> keras.Model:
    """A copy for conversion: batch 1, native grouped convolutions, ranges that kernels accept.

    Args:
        model: from `quantize_aware`, of any batch size.
        groups: the form of grouped convolutions, as in `Lowering`. Here and not before training,
            where the zeros of a wider group would be trained.

    Raises:
        ValueError: for ranges that were never set.
    """
    check_quantized(model)
    unset = [
        layer.name
        for layer in model.layers
        if isinstance(layer, FakeQuant) and layer.learns and not np.all(layer.batches)
    ]
    if unset:
        raise ValueError(
            f"The ranges of {len(unset)} tensors were never set: train the model, call "
            f"calibrate_ranges(model, images), or pass calibration= to quantize_aware. "
            f"Received: {unset[:3]}"
        )
    kinds = {QuantizedConv2D: DeployedConv2D}
    copy = rebuild(model, lambda op: copy_of(op, kinds.get(type(op))), batch_size=1)
    _mend_ranges(copy)
    return _fold(copy, groups)


def _fold(model: keras.Model, groups: str) -> keras.Model:
    """Fold BatchNorm into kernels, and round kernels and biases as the file will have them.

    The converter would do both in floats of its own, and round what lies on the border of two
    steps to the other side.
    """
    nodes = trace(model)
    calls = Counter(id(node.operation) for node in nodes)
    norms, weights = set(), {}
    changes: dict[str, dict] = {}
    for node in nodes:
        source = _range_before(node.inputs[0]) if node.inputs else None
        if not node.is_a(*_QUANTIZED) or source is None or calls[id(node.operation)] > 1:
            continue  # the converter folds a shared kernel for each of its calls
        operation, kernel, user = node.operation, Kernel.of(node.operation), node.sole_user()
        if user is not None and user.is_a(keras.layers.BatchNormalization):
            kernel = kernel.folded(user.operation)
            norms.add(id(user.operation))
        values, *bias = kernel.weights(output_step(source)[0])
        changes[operation.name] = {"use_bias": bool(bias)}
        if node.is_a(DeployedConv2D):
            merged = merged_groups(operation, groups, "int8")
            values = widen_groups(np.asarray(values), operation.groups, merged)
            changes[operation.name]["groups"] = merged
        weights[operation.name] = [values, *bias]

    def replace(operation):
        if id(operation) in norms:
            return None
        return copy_of(operation, None, **changes.get(operation.name, {}))

    folded = rebuild(model, replace, batch_size=1)
    for name, values in weights.items():
        folded.get_layer(name).set_weights(values)
    return folded


def _mend_ranges(model: keras.Model) -> None:
    """Widen ranges with which a file would not run, or not be delegated.

    A tensor that was always zero (a branch whose gamma is 0) gets the range of what it
    flows into, an output [-1, 1], a summand at least 1/512 of the sum's. Values lose nothing:
    the step of a widened summand stays finer than the sum's.
    """
    nodes = trace(model)
    last = _range_before(nodes[-1])
    if last is not None and last.learns and _bound(last) < _ZERO:
        _widen(last, 1.0)
    for node in reversed(nodes):  # what a tensor flows into is mended first
        if node.operation is None or node.is_a(FakeQuant):
            continue
        result = _bound(_range_after(node)) or 1.0
        smallest = _SMALLEST_SUMMAND if node.is_a(keras.layers.Add, keras.layers.Subtract) else 0
        for source in node.inputs:
            layer = _range_before(source)
            if layer is None or not layer.learns:
                continue
            bound = _bound(layer)
            if bound < _ZERO:
                _widen(layer, result)
            elif bound < smallest * result:
                _widen(layer, smallest * result)


def _range_after(node: Node | None) -> FakeQuant | None:
    """The range of an operator's result, behind what fuses with it or keeps its scale."""
    while node is not None and not node.is_a(FakeQuant):
        node = node.sole_user()
    return None if node is None else node.operation


def _range_before(node: Node) -> FakeQuant | None:
    while node.inputs and not node.is_a(FakeQuant):
        node = node.inputs[0]
    return node.operation if node.is_a(FakeQuant) else None


def _bound(layer: FakeQuant | None) -> float:
    return 0.0 if layer is None else max(abs(float(end)) for end in layer.bounds())


def _widen(layer: FakeQuant, bound: float) -> None:
    layer.ranges.assign(np.tile([-bound, bound], (layer.sources, 1)))
