"""Where attention goes: layers by name, by a function of them, or by a preset."""

import difflib
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from ..graph import graph_of, is_model, nodes_in_order, walk
from .presets import PRESETS

Where = str | re.Pattern | Iterable[str] | Callable[[keras.Layer], bool]


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
    if isinstance(where, Iterable) and not isinstance(where, str):
        where = tuple(where)  # an iterator can be read once
    if isinstance(where, str) and where in PRESETS:
        found = list(_by_preset(model, where))
        reason = f"{argument}={where!r} fits no layer of '{model.name}': {PRESETS[where].__doc__}"
    else:
        matches = _matcher(where, argument)
        everything = [Place(*found) for found in walk(model)]
        if isinstance(where, str) or not (isinstance(where, re.Pattern) or callable(where)):
            _check_names([where] if isinstance(where, str) else where, everything, argument)
        found = [place for place in everything if not place.node.is_input and matches(place)]
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
    known: set[str] = set()
    inputs: set[str] = set()
    for place in places:
        (inputs if place.node.is_input else known).update((place.path, place.operation.name))
    for name in names:
        if name in inputs - known:
            raise ValueError(f"`{argument}`: {name!r} is an input, which computes nothing")
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
