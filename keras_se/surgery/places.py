"""Where attention goes: layers by name, by rule, or by what they are in the network."""

import difflib
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from ..applications.features import ends_by_level
from ..graph import graph_of, is_model, nodes_in_order, readers, sole_reader, walk
from .residual_blocks import residual_branches

Where = str | re.Pattern | Iterable[str] | Callable[[keras.Layer], bool]

NORMS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)


@dataclass(frozen=True, eq=False)
class Place:
    """One call of a layer: a new layer may follow it.

    Attributes:
        path: names of the models on the way and of the layer.
        model: the model that contains the call.
        node: the call.
    """

    path: str
    model: keras.Model
    node: Any  # of Keras' graph

    @property
    def operation(self):
        return self.node.operation


def find_places(model: keras.Model, where: Where, argument: str = "after") -> list[Place]:
    """The calls that `where` means, in the order of the graph.

    Args:
        model: functional or Sequential model; models inside it are searched, too.
        where: a key of `PRESETS`; a layer's name or path ("backbone/conv1"); a compiled
            regular expression, searched for in the paths; an iterable of names; or a
            function that says yes or no to a layer.
        argument: its name, for errors.

    Raises:
        ValueError: if nothing is found, or one of several names is not; with the nearest
            names.
        TypeError: for something else than these.
    """
    graph_of(model)
    if isinstance(where, str) and where in PRESETS:
        found = list(_by_preset(model, where))
        reason = f"{argument}={where!r} fits no layer of '{model.name}': {PRESETS[where].__doc__}"
    else:
        matches = _matcher(where, argument)
        everything = [Place(*found) for found in walk(model)]
        if isinstance(where, str) or not (isinstance(where, re.Pattern) or callable(where)):
            _check_names([where] if isinstance(where, str) else where, everything, argument)
        found = [place for place in everything if matches(place)]
        reason = f"{argument}={where!r} matches no layer of '{model.name}'"
    if not found:
        raise ValueError(reason)
    return found


def _matcher(where, argument):
    if isinstance(where, re.Pattern):
        return lambda place: where.search(place.path) is not None
    if callable(where):
        return lambda place: isinstance(place.operation, keras.Layer) and where(place.operation)
    if isinstance(where, str) or _are_names(where):
        names = {where} if isinstance(where, str) else set(where)
        return lambda place: place.path in names or place.operation.name in names
    raise TypeError(
        f"`{argument}` must be one of {sorted(PRESETS)}, a layer's name, names, a compiled "
        f"regular expression or a function of a layer. Received: {argument}={where!r}"
    )


def _are_names(where) -> bool:
    return isinstance(where, Iterable) and all(isinstance(name, str) for name in where)


def _check_names(names, places, argument) -> None:
    known = {name for place in places for name in (place.path, place.operation.name)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 5, 0.4)
            raise ValueError(
                f"`{argument}`: no layer is called {name!r}; the nearest are {near}. Presets "
                f"are {sorted(PRESETS)}"
            )


def _by_preset(model, name):
    """The places in a model and in the models inside it, each model once.

    Resolutions are those of the outermost model that has any.
    """
    seen, waiting = set(), deque([("", model)])
    while waiting:
        prefix, part = waiting.popleft()
        nodes = PRESETS[name](part)
        for node in nodes:
            yield Place(f"{prefix}{node.operation.name}", part, node)
        if nodes and name == "stage":
            continue
        for node in nodes_in_order(part):
            inner = node.operation
            if is_model(inner) and id(inner) not in seen:
                seen.add(id(inner))
                waiting.append((f"{prefix}{inner.name}/", inner))


def depthwise(model) -> list:
    """after each depthwise convolution with its normalisation and activation."""
    reading = readers(model)
    found = []
    for node in nodes_in_order(model):
        if is_depthwise(node.operation):
            node = follow(node, reading, NORMS)
            found.append(follow(node, reading, is_activation))
    return found


def stage(model) -> list:
    """the last feature map of each resolution, from which all that follows is computed."""
    learned = set()  # tensors that a trainable layer has had a part in: no normalised pixels
    for node in nodes_in_order(model):
        weights = getattr(node.operation, "trainable_variables", ())
        if weights or any(id(t) in learned for t in node.input_tensors):
            learned |= {id(t) for t in node.output_tensors}
    return [
        node
        for _, node in sorted(ends_by_level(model).items())
        if id(node.output_tensors[0]) in learned and not is_model(node.operation)
    ]


def residual(model) -> list:
    """the residual branch before each addition of a residual block."""
    return residual_branches(model)


PRESETS: dict[str, Callable] = {"depthwise": depthwise, "residual": residual, "stage": stage}


def follow(node, reading, kinds):
    """The call behind `node` if it is of these kinds and the only one to read it."""
    following = sole_reader(node, reading)
    if following is None:
        return node
    operation = following.operation
    fits = isinstance(operation, kinds) if isinstance(kinds, tuple) else kinds(operation)
    return following if fits else node


def is_depthwise(operation) -> bool:
    """Whether each channel is convolved by itself."""
    if isinstance(operation, keras.layers.DepthwiseConv2D):
        return True
    return isinstance(operation, keras.layers.Conv2D) and 1 < operation.groups == operation.filters


def is_activation(operation) -> bool:
    """Whether this is an activation: a layer of its own, or a function of keras.ops."""
    kinds = keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU
    functions = ("Relu", "Relu6", "Silu", "HardSilu", "Gelu", "HardSwish", "LeakyRelu", "Elu")
    return isinstance(operation, kinds) or type(operation).__name__ in functions
