"""A copy of a functional model: layers exchanged, left out or followed by others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras

from ..applications.image_model import ImageModel
from ..graph import graph_of, is_model, nodes_in_order


@dataclass(frozen=True)
class Changes:
    """What becomes different in the copy. Keys are ids of layers and calls of the original.

    Attributes:
        layers: id of a layer -> the layer that takes its place. Its weights are its own.
        skipped: ids of calls (nodes) that hand their first input through.
        after: id of a call -> the layers that follow it, one after the other.
    """

    layers: Mapping[int, keras.Layer] = field(default_factory=dict)
    skipped: frozenset[int] = frozenset()
    after: Mapping[int, list[keras.Layer]] = field(default_factory=dict)


def rebuild(model: keras.Model, changes: Changes) -> keras.Model:
    """Copy a model, and the models inside it, with changes.

    Layers keep names, weights (as copies) and `trainable`; layers and models that are called
    several times stay shared. A model that contains a change is trainable itself, so that
    what is new trains inside a frozen backbone; its layers stay frozen.

    Args:
        model: functional or Sequential model.
        changes: what to do differently.

    Returns:
        An `ImageModel` for an `ImageModel` (without `architecture`: it is another one now),
        otherwise a functional `keras.Model`. It is not compiled.

    Raises:
        ValueError: for a model without a graph, or a layer that cannot be copied; named.
    """
    return _Rebuild(changes).model(model)


class _Rebuild:
    def __init__(self, changes: Changes):
        self.changes = changes
        self.copies: dict[int, keras.Layer] = {}  # so that what is shared stays shared

    def model(self, model, prefix: str = ""):
        graph = graph_of(model)
        inputs = keras.tree.map_structure(_copy_input, graph._inputs_struct)
        tensors = {
            id(old): new for old, new in zip(graph.inputs, keras.tree.flatten(inputs), strict=True)
        }
        for node in nodes_in_order(model):
            if not node.is_input:
                outputs = keras.tree.flatten(self.call(node, tensors, prefix))
                tensors |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
        outputs = keras.tree.map_structure(lambda t: tensors[id(t)], graph._outputs_struct)
        return _of_same_kind(model, inputs, outputs)

    def call(self, node, tensors, prefix):
        if id(node) in self.changes.skipped:
            outputs = tensors[id(node.input_tensors[0])]
        else:
            outputs = self.copied_call(node, tensors, prefix)
        for layer in self.changes.after.get(id(node), ()):
            outputs = _named_errors(f"{prefix}{node.operation.name}", layer, outputs)
        return outputs

    def copied_call(self, node, tensors, prefix):
        old = node.operation
        path = f"{prefix}{old.name}"
        args, kwargs = node.arguments.fill_in(tensors)
        if id(old) in self.changes.layers:
            return _named_errors(path, self.changes.layers[id(old)], *args, **kwargs)
        if id(old) in self.copies:
            return self.copies[id(old)](*args, **kwargs)
        if is_model(old):
            copy = self.copies[id(old)] = self.model(old, f"{path}/")
            return copy(*args, **kwargs)
        copy = self.copies[id(old)] = copy_layer(old, path)
        outputs = copy(*args, **kwargs)
        if isinstance(old, keras.Layer):
            copy_state(old, copy, path)
        return outputs


def copy_layer(layer, path: str, **changes):
    """A new layer (or operation) with the configuration of another.

    Raises:
        ValueError: if it does not describe itself; its path is named.
    """
    try:
        return type(layer).from_config(layer.get_config() | changes)
    except Exception as error:
        raise ValueError(
            f"Layer '{path}' of type {type(layer).__name__} cannot be copied: it must be "
            f"rebuilt by `from_config(get_config())`. {type(error).__name__}: {error}"
        ) from error


def copy_state(old: keras.Layer, new: keras.Layer, path: str) -> None:
    """Give a built layer the weights and the `trainable` flags of another.

    Raises:
        ValueError: if the weights do not fit; the layer's path is named.
    """
    try:
        new.set_weights(old.get_weights())
    except ValueError as error:
        raise ValueError(
            f"Layer '{path}' of type {type(old).__name__} cannot be copied: its copy made from "
            f"get_config() takes other weights. {error}"
        ) from error
    if isinstance(new, keras.layers.Normalization):
        new.finalize_state()  # its statistics are computed from the weights
    # Setting a layer's flag sets that of its sublayers, which come later.
    for source, copy in zip(old._flatten_layers(), new._flatten_layers(), strict=False):
        if copy.trainable != source.trainable:
            copy.trainable = source.trainable


def _copy_input(tensor):
    layer = tensor._keras_history.operation
    return type(layer).from_config(layer.get_config()).output


def _of_same_kind(model, inputs, outputs):
    if isinstance(model, ImageModel):
        return ImageModel(
            inputs,
            outputs,
            model.name,
            preprocess=getattr(model, "preprocess", None),  # a clone has none
            class_names=model.class_names,
        )
    return keras.Model(inputs, outputs, name=model.name)


def _named_errors(path, layer, *args, **kwargs):
    """Call a new layer; an error names the place."""
    try:
        return layer(*args, **kwargs)
    except ValueError as error:
        raise ValueError(f"{type(layer).__name__} does not fit at '{path}': {error}") from error
