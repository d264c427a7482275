"""A functional model as a list of nodes, and its rebuilding node by node."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from ...lowering import add_layer
from ..lowering.copies import float32_copy


@dataclass(eq=False)
class Node:
    """One call of an operation in a model whose operations have one output each.

    Attributes:
        operation: the layer or `keras.ops` operation; None for the model's input.
        args, kwargs: what it is called with; other nodes stand for their outputs.
        inputs: the nodes among them.
        users: the nodes that take its output.
    """

    operation: Any
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    inputs: list["Node"] = field(default_factory=list)
    users: list["Node"] = field(default_factory=list)

    def is_a(self, *kinds: type) -> bool:
        """Whether the operation is of one of these classes."""
        return isinstance(self.operation, kinds)

    def sole_user(self) -> "Node | None":
        """The one node that takes the output; None when there are several, or none."""
        return self.users[0] if len(self.users) == 1 else None


def trace(model: keras.Model) -> list[Node]:
    """The calls of a functional model of one input, in order of execution, its input first."""
    nodes = [Node(None)]

    def record(operation, *args, **kwargs):
        inputs = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, Node)]
        node = Node(operation, args, kwargs, inputs)
        for source in dict.fromkeys(inputs):
            source.users.append(node)
        nodes.append(node)
        return node

    # Private, as in `lower`: the public way to follow a graph makes layers, not records.
    model._run_through_graph(nodes[0], call_fn=record)
    return nodes


def rebuild(
    model: keras.Model, replace: Callable[[Any], Any], batch_size: int | None = None
) -> keras.Model:
    """Rebuild a functional model with other operations and the same weights.

    Args:
        model: flat functional model of one input.
        replace: gives the new operation for an old one, or None where it vanishes. Shared
            operations are asked for once and stay shared.
        batch_size: batch dimension of the new model; None leaves it open.
    """
    tensor = model.inputs[0]
    inputs = keras.Input(
        batch_shape=(batch_size, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name
    )
    copies = {}

    def call(operation, *args, **kwargs):
        if id(operation) not in copies:
            copies[id(operation)] = replace(operation)
        copy = copies[id(operation)]
        if copy is None:
            return args[0]
        outputs = copy(*args, **kwargs)
        if isinstance(copy, keras.Layer) and _shapes(copy) == _shapes(operation):
            copy.set_weights(operation.get_weights())
        return outputs

    outputs = model._run_through_graph(inputs, call_fn=call)
    return keras.Model(inputs, keras.tree.flatten(outputs)[0], name=model.name)


def _shapes(layer: keras.Layer) -> list[tuple]:
    return [tuple(weight.shape) for weight in layer.weights]


def copy_of(operation, kind: type[keras.Operation] | None = None, **changes):
    """An operation of the same configuration, or of another class that takes it."""
    if isinstance(operation, keras.layers.Lambda):
        return float32_copy(operation, operation.name)
    return (kind or type(operation)).from_config(operation.get_config() | changes)


def apply_copy(layer: keras.Layer, inputs, kind: type | None = None, **changes):
    """Apply a copy of a layer, weights included, to symbolic inputs."""
    return add_layer(copy_of(layer, kind, **changes), inputs, layer.get_weights())
