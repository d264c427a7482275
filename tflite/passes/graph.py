"""Read and rewrite the graph of a lowered model."""

from collections import Counter
from collections.abc import Callable

import keras

from ..lowering.copies import float32_copy
from ..recipe import Recipe
from .lowering import Lowering

# Builds an operation's output anew; it is given the function that maps a tensor of the old
# graph to its counterpart in the new one.
Replacement = Callable[[Callable], keras.KerasTensor]


class Graph:
    """Who makes which tensor of a functional model.

    Attributes:
        operations: those that a pass may look at: called once, with one input and one output.
            In a shared layer, "the" input means nothing.
    """

    def __init__(self, model: keras.Model):
        self._producers = {}
        made_once = {id(model.inputs[0])}
        for operation in model.operations:  # sorted from input to output
            source, output = only(operation, "input"), only(operation, "output")
            if output is not None:
                made_once.add(id(output))
                if id(source) in made_once:
                    self._producers[id(output)] = operation
        self.operations = tuple(self._producers.values())
        nodes = [node for operation in model.operations for node in operation._inbound_nodes]
        self._readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
        self._readers.update(map(id, model.outputs))

    def readers(self, operation: keras.Operation) -> int:
        """How often the output of one of `operations` is read; the model's output counts."""
        return self._readers[id(operation.output)]

    def producer(self, operation: keras.Operation | None) -> keras.Operation | None:
        """The one of `operations` that makes the input of this one; None when there is none."""
        return None if operation is None else self._producers.get(id(operation.input))


def only(operation: keras.Operation, side: str) -> keras.KerasTensor | None:
    """The "input" or "output" of an operation that is called once and has one of them."""
    # The public attributes give the first call's, and say nothing of others.
    if len(operation._inbound_nodes) != 1:
        return None
    tensor = getattr(operation, side)
    return tensor if isinstance(tensor, keras.KerasTensor) else None


# A pass: None, or the replacement of one operation.
Rewrite = Callable[[keras.Operation, Graph, Lowering, Recipe], Replacement | None]


def rewrite(model: keras.Model, apply: Rewrite, lowering: Lowering, recipe: Recipe) -> keras.Model:
    """Rebuild a lowered model with the replacements that one pass asks for.

    Returns:
        A new model, or the same one when the pass asks for none.
    """
    graph = Graph(model)
    replacements = {}
    for operation in graph.operations:
        replacement = apply(operation, graph, lowering, recipe)
        if replacement is not None:
            replacements[id(operation)] = replacement
    if not replacements:
        return model
    old_inputs = model.inputs[0]
    inputs = keras.Input(batch_shape=old_inputs.shape, dtype=old_inputs.dtype, name=old_inputs.name)
    counterparts = {id(old_inputs): inputs}
    copies = {}

    def call(operation, *args, **kwargs):
        if id(operation) in replacements:
            outputs = replacements[id(operation)](lambda tensor: counterparts[id(tensor)])
        else:
            if id(operation) not in copies:
                copies[id(operation)] = float32_copy(operation, operation.name)
            kwargs.pop("training", None)
            outputs = copies[id(operation)](*args, **kwargs)
            if isinstance(operation, keras.Layer):
                copies[id(operation)].set_weights(operation.get_weights())
        old_output = only(operation, "output")
        if old_output is not None:
            counterparts[id(old_output)] = outputs
        return outputs

    # As in `keras_se.tflite.lower`: clone_model would not give the same flat model.
    outputs = keras.tree.flatten(model._run_through_graph(inputs, call_fn=call))
    return keras.Model(inputs, outputs[0], name=model.name)
