"""The graph of a functional model: its calls in order, who reads what, and where it narrows."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable

import keras


def graph_of(model) -> keras.Model:
    """The functional model itself, or the one inside a Sequential model.

    Raises:
        ValueError: for a model without a graph: subclassed, or not yet built.
    """
    # Keras keeps the graph of a Sequential model in this private attribute.
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not isinstance(graph, keras.Function):
        reason = (
            "has no input yet: call it or give it a keras.Input"
            if isinstance(model, keras.Sequential)
            else "is subclassed: its graph is hidden in Python code"
            if isinstance(model, keras.Model)
            else "is no model"
        )
        raise ValueError(
            f"A functional or Sequential Keras model is needed. Received: "
            f"{getattr(model, 'name', model)!r} of type {type(model).__name__}, which {reason}"
        )
    return graph


def is_model(operation) -> bool:
    """Whether a layer is a model with a graph of its own."""
    return isinstance(operation, (keras.Function, keras.Sequential))


def nodes_in_order(model) -> list:
    """The calls of the model's layers, each after what it reads."""
    nodes_by_depth = graph_of(model)._nodes_by_depth  # private, as in keras.models.clone_model
    depths = sorted(nodes_by_depth, reverse=True)
    return [node for depth in depths for node in nodes_by_depth[depth]]


def walk(model, prefix: str = ""):
    """Yield (path, model, node) for every call of a layer, nested models after their own call.

    The path is the names of the models on the way and of the layer: "backbone/conv1". The
    calls inside a model that is called several times come once.
    """
    seen = set()
    for node in nodes_in_order(model):
        path = f"{prefix}{node.operation.name}"
        yield path, model, node
        if is_model(node.operation) and id(node.operation) not in seen:
            seen.add(id(node.operation))
            yield from walk(node.operation, f"{path}/")


def readers(model) -> dict[int, list]:
    """{id of a tensor: the nodes that read it}; the model's own outputs are read by None."""
    found = defaultdict(list)
    for node in nodes_in_order(model):
        for tensor in node.input_tensors:
            found[id(tensor)].append(node)
    for tensor in graph_of(model).outputs:
        found[id(tensor)].append(None)
    return found


def makers(model) -> dict:
    """{id of a tensor: the node that makes it}."""
    return {id(t): node for node in nodes_in_order(model) for t in node.output_tensors}


def calls_of(model, operation) -> list:
    """The nodes that call an operation, in order; those of other models are left out."""
    return [node for node in nodes_in_order(model) if node.operation is operation]


def sole_reader(node, reading: dict[int, list]):
    """The one node that reads what `node` makes; None where it is not one alone.

    Args:
        node: a call with one output, or with several, which have no sole reader.
        reading: from `readers`.
    """
    [tensor, *others] = node.output_tensors
    following = reading[id(tensor)]
    return following[0] if not others and len(following) == 1 else None


def cuts(model) -> list:
    """The nodes, in order, from whose one output all that follows is computed."""
    nodes = nodes_in_order(model)
    position = {id(t): i for i, node in enumerate(nodes) for t in node.output_tensors}
    last_reader = [0] * len(nodes)
    for i, node in enumerate(nodes):
        for tensor in node.input_tensors:
            last_reader[position[id(tensor)]] = i
    found, reach = [], 0  # reach: the furthest node that reads what was computed so far
    for i, node in enumerate(nodes):
        if reach <= i and len(node.output_tensors) == 1:
            found.append(node)
        reach = max(reach, last_reader[i])
    return found


def unique_names(taken: set[str]) -> Callable[[str], str]:
    """A function that gives every name once: "conv", "conv_1", "conv_2".

    Args:
        taken: names that it must not give, of a model's operations.

    >>> unique = unique_names({"conv"})
    >>> unique("conv"), unique("conv"), unique("gate")
    ('conv_1', 'conv_2', 'gate')
    """
    taken = set(taken)

    def unique(name: str) -> str:
        numbered = (f"{name}_{i}" for i in itertools.count(1))
        free = next(n for n in itertools.chain([name], numbered) if n not in taken)
        taken.add(free)
        return free

    return unique


def scope_name(name: str) -> str:
    """A name as a TensorFlow graph takes it: other characters than its own are underscores.

    >>> scope_name("Größe (px)"), scope_name("_hidden"), scope_name("conv2d_1")
    ('Gr__e__px_', 'x_hidden', 'conv2d_1')
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return name if name[:1].isalnum() else f"x{name}"
