"""A classifier as two functions, pictures to feature map to logits, through models inside it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
from keras import ops

from ..graph import cuts, graph_of, is_model, makers

SATURATING = (keras.activations.softmax, keras.activations.sigmoid)
Function = Callable[[Any], Any]


class FeatureMap(NamedTuple):
    """A tensor (b, h, w, k) from which alone the model's output follows."""

    name: str  # of the layer that makes it
    tensor: keras.KerasTensor
    way: tuple  # the calls of the models that it lies in, outer ones first


def trunk_and_head(graph, layer: str | None = None) -> tuple[Function, Function]:
    """Split a classifier at a feature map.

    Args:
        graph: functional model with one image input and one output (n, classes).
        layer: name of the layer that makes the feature map, in the model or in one inside
            it. None: the last feature map larger than one pixel.

    Returns:
        Pictures to feature map, and feature map to logits, before a final softmax or
        sigmoid; both in inference mode, with the model's weights.

    Raises:
        ValueError: if there is no such feature map, or it may lie in a model that has
            several inputs or outputs, or the logits are unknown.
    """
    maps = list(_feature_maps(graph))
    if layer is not None:
        found = [each for each in maps if each.name == layer]
        if not found:
            raise ValueError(
                f"`layer` must name a layer whose feature map all that follows is computed "
                f"from: {[each.name for each in maps]}. Received: layer={layer!r}"
            )
    else:
        found = [each for each in maps if tuple(each.tensor.shape[1:3]) != (1, 1)]
        if not found:
            raise ValueError(
                f"Model '{graph.name}' has no feature map that its output follows from"
            )
    return _split(graph, found[-1].way, found[-1].tensor, _logits)


def _feature_maps(graph, way: tuple = ()) -> Iterator[FeatureMap]:
    for node in cuts(graph):
        [tensor] = node.output_tensors
        if is_model(node.operation):
            inner = graph_of(node.operation)
            if len(inner.inputs) != 1 or len(inner.outputs) != 1:
                raise ValueError(
                    f"The feature map may lie in the model '{node.operation.name}', which has "
                    f"several inputs or outputs. Received: {len(inner.inputs)} inputs, "
                    f"{len(inner.outputs)} outputs"
                )
            yield from _feature_maps(inner, (*way, node))
        if node.input_tensors and len(tensor.shape) == 4:
            yield FeatureMap(node.operation.name, tensor, way)


def _split(graph, way, tensor, scores) -> tuple[Function, Function]:
    """Up to a tensor, and from there to `scores(graph, ...)`, a function to its output."""
    if not way:
        return _part(graph.inputs[0], tensor), scores(graph, tensor)
    node, *rest = way
    inner = graph_of(node.operation)
    [output] = node.output_tensors
    ends = output is graph.outputs[0]
    trunk, head = _split(inner, rest, tensor, scores if ends else _whole)
    trunk = _chain(_part(graph.inputs[0], node.input_tensors[0]), trunk)
    return trunk, head if ends else _chain(head, scores(graph, output))


def _whole(graph, tensor) -> Function:
    """From a tensor to the output."""
    return _part(tensor, graph.outputs[0])


def _logits(graph, tensor) -> Function:
    """From a tensor to the output before its softmax or sigmoid."""
    [output] = graph.outputs
    node = makers(graph)[id(output)]  # `layer.input` is that of its first call ever
    last = node.operation
    if is_model(last):
        inner = graph_of(last)
        return _chain(_part(tensor, node.input_tensors[0]), _logits(inner, inner.inputs[0]))
    if isinstance(last, keras.layers.Softmax) or type(last).__name__ in ("Softmax", "Sigmoid"):
        return _part(tensor, node.input_tensors[0])
    if getattr(last, "activation", None) not in SATURATING:
        return _part(tensor, output)
    before = _part(tensor, node.input_tensors[0])
    if isinstance(last, keras.layers.Activation):
        return before
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(
            f"The score before the activation of '{last.name}' of type {type(last).__name__} is "
            "unknown; only that of a Dense layer is"
        )

    def logits(maps):
        features = before(maps)
        scores = ops.matmul(features, ops.cast(last.kernel, features.dtype))
        return scores + ops.cast(last.bias, scores.dtype) if last.use_bias else scores

    return logits


def _part(start, end) -> Function:
    if start is end:
        return lambda x: x
    model = keras.Model(start, end)
    return lambda x: model(x, training=False)


def _chain(first: Function, second: Function) -> Function:
    return lambda x: second(first(x))
