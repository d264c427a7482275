"""Constant gates taken out of a model, and folded into its weights."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from .fold import Fold, find_fold, rescaling, scale_norm
from .found_gates import FoundGate, find_gates
from .gate_values import Constant, constant
from .places import Where, find_places
from .rebuild import Changes, copy_layer, copy_state, rebuild


def remove(model: keras.Model, layers: Where | None = None) -> keras.Model:
    """Take gates out of a model where they are constant.

    A gate is constant where the weights that see the picture are zero, as in every gate
    that `insert` put in and nobody trained; `prune_gates` makes nearly constant ones so. A
    constant that is not 1 is folded: into BatchNorm or the convolution before the gate, also
    through a ReLU, a pooling or zero padding; else into the convolution behind it; else a
    `Rescaling` takes the gate's place. A gate inside a `ResidualTail` goes into its BatchNorm.

    Args:
        model: functional or Sequential Keras model; models inside it are searched, too.
        layers: which gates, as `after` of `insert`, also by the paths of `PruneReport` and
            `keras_se.explain.gates`. Patterns and functions choose among the gates. None:
            all constant ones.

    Returns:
        A new model of the same kind that computes the same, not compiled, with copies of
        the weights. Gates that are not constant stay unless they were named.

    Raises:
        ValueError: if a named layer is no gate, or not constant.

    >>> from keras_se.surgery import insert
    >>> images = keras.Input((8, 8, 3))
    >>> model = keras.Model(images, keras.layers.Conv2D(16, 3, name="conv")(images))
    >>> [layer.name for layer in remove(insert(model, after="conv")).layers][1:]
    ['conv']
    """
    gates = find_gates(model)
    if layers is not None:
        gates = _named(model, layers, gates)
    constants = {}
    for found in gates:
        value = constant(found.gate, found.channels)
        if value is not None:
            constants[found] = value
        elif layers is not None:
            raise ValueError(
                f"Gate '{found.path}' of type {type(found.gate).__name__} is not constant: "
                "the weights that see the picture are not zero. See `prune_gates`"
            )
    return take_out(model, constants)[0]


def _named(model, layers, gates) -> list[FoundGate]:
    if isinstance(layers, re.Pattern) or callable(layers):
        chosen = [found for found in gates if _matches(layers, found)]
        if not chosen:
            raise ValueError(f"`layers` matches no gate of '{model.name}'. Received: {layers!r}")
        return chosen
    chosen, hosts = [], {found.path: found.host_path for found in gates}
    if isinstance(layers, str):
        layers = hosts.get(layers, layers)
    elif isinstance(layers, Iterable):
        layers = [hosts.get(name, name) for name in layers]
    by_host = {id(found.host): found for found in gates}
    for place in find_places(model, layers, "layers"):
        if id(place.operation) not in by_host:
            raise ValueError(
                f"Layer '{place.path}' of type {type(place.operation).__name__} is no gate"
            )
        chosen.append(by_host[id(place.operation)])
    return list(dict.fromkeys(chosen))


def _matches(where, found: FoundGate) -> bool:
    if isinstance(where, re.Pattern):
        return where.search(found.path) is not None
    return any(where(layer) for layer in {found.gate, found.host})


def take_out(
    model: keras.Model, constants: Mapping[FoundGate, Constant]
) -> tuple[keras.Model, dict[FoundGate, Fold]]:
    """Replace gates by constants, folded where possible.

    Returns:
        The new model, and where each constant went.
    """
    folds = {found: _fold(found, value) for found, value in constants.items()}
    layers: dict[int, Any] = {}
    skipped: set[int] = set()
    after: dict[int, list] = {}
    refill = []
    for found, fold in folds.items():
        if found.tail is not None:
            layers[id(found.tail)] = copy_layer(found.tail, found.path, gate=None)
            continue
        skipped |= {id(node) for node in found.nodes}
        if fold.scaling:
            gate = found.gate
            layer = rescaling(constants[found], gate.name, gate.dtype_policy)
            after |= {id(node): [layer] for node in found.nodes}
        elif fold.layer is not None and id(fold.layer) not in layers:
            layers[id(fold.layer)] = copy_layer(fold.layer, fold.layer.name)
            refill.append(fold.layer)
    result = rebuild(model, Changes(layers=layers, skipped=frozenset(skipped), after=after))
    for old in refill:
        copy_state(old, layers[id(old)], old.name)
    for found, fold in folds.items():
        if found.tail is not None:
            copy_state(found.tail.norm, layers[id(found.tail)].norm, found.path)
        target = layers[id(found.tail)].norm if found.tail is not None else None
        if fold.layer is not None and target is None:
            target = layers[id(fold.layer)]
        if fold.change is not None and target is not None:
            target.set_weights(fold.change(target.get_weights()))
    return result, folds


def unfoldable(found: FoundGate, value: Constant) -> str | None:
    """Why a gate cannot become a constant; None where it can."""
    if found.tail is None:
        return None
    inner = found.tail.inner_activation
    passes = (
        inner is keras.activations.relu and np.all(value.scale >= 0) and not np.any(value.shift)
    )
    if inner is keras.activations.linear or passes or value.is_identity:
        return None
    below = " and the constant is negative or a shift" if inner is keras.activations.relu else ""
    return f"inner_activation={inner.__name__!r} lies between BatchNorm and the gate{below}"


def _fold(found: FoundGate, value: Constant) -> Fold:
    if found.tail is None:
        if len(found.nodes) > 1 and not value.is_identity:
            return Fold("a scaling in its place", scaling=True)
        return find_fold(found.model, found.nodes[0], value)
    if reason := unfoldable(found, value):
        raise ValueError(f"Gate '{found.path}' cannot be folded: {reason}")
    return Fold("batch normalisation of the tail", None, scale_norm(value))
