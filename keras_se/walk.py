"""The layers inside layers, and a way to watch them at work."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import keras


def inner_layers(layer: keras.layers.Layer, path: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """Yield (path, layer) for every layer inside a layer or model, outer ones first.

    The path is the names on the way, "stage2_block1_tail/gate"; Keras' own `layer.path` is
    shorter in a loaded model.
    """
    # Keras has no public walk through the layers inside layers.
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        inner_path = f"{path}/{inner.name}" if path else inner.name
        yield inner_path, inner
        yield from inner_layers(inner, inner_path)


def weights_by_path(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights of the layers of a model by layer names, "stem_conv/kernel", in its order.

    Keras' own `variable.path` starts with the scopes that the model was built in, and is
    shorter where a loaded or cloned layer was built before the one around it.
    """
    found: dict[str, keras.Variable] = {}
    for path, layer in inner_layers(model):
        inside = {id(w) for _, inner in inner_layers(layer) for w in inner.weights}
        found |= {f"{path}/{w.name}": w for w in layer.weights if id(w) not in inside}
    return found


@contextlib.contextmanager
def watching(
    layers: Iterable[tuple[str, keras.Layer, str]], note: Callable[..., None]
) -> Iterator[None]:
    """Call `note(path, layer, inputs, outputs)` after each call of a method.

    Until the context ends; `inputs` is the first argument.

    Args:
        layers: (path, layer, name of the method to watch); a layer is watched once.
        note: what to call.
    """
    watched = {id(layer): (path, layer, method) for path, layer, method in layers}
    for path, layer, method in watched.values():
        setattr(layer, method, _noting(path, layer, getattr(layer, method), note))
    try:
        yield
    finally:
        for _, layer, method in watched.values():
            delattr(layer, method)


def _noting(path, layer, method, note):
    def noted(*args, **kwargs):
        outputs = method(*args, **kwargs)
        note(path, layer, next(iter((*args, *kwargs.values()))), outputs)
        return outputs

    return noted
