"""What layers inside a model see and return, batch by batch."""

import contextlib
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from ..walk import inner_layers


def record_method(
    model: keras.Model, kind, method: str, images, batch_size: int, reduce: Callable = lambda x: x
) -> dict[str, np.ndarray]:
    """Run a model eagerly and keep what a method of some of its layers returns.

    Args:
        model: any built model.
        kind: class (or classes) of the layers.
        method: name of their method.
        images: array (n, h, w, c).
        batch_size: int, pictures at a time.
        reduce: what is kept of one result, a tensor (b, ...).

    Returns:
        {path of the layer: float32 array (n, ...)}, in the order of the calls. Later calls
        of a shared layer are left out.
    """
    layers = {id(layer): (path, layer) for path, layer in inner_layers(model)}
    chosen = [(path, layer) for path, layer in layers.values() if isinstance(layer, kind)]
    found: dict[str, list] = {}
    with contextlib.ExitStack() as stack:
        seen: set[str] = set()
        for path, layer in chosen:
            recorder = _recorder(getattr(layer, method), path, found, seen, reduce)
            setattr(layer, method, recorder)
            stack.callback(delattr, layer, method)
        for start in range(0, len(images), batch_size):
            seen.clear()
            model(images[start : start + batch_size], training=False)
    return {path: np.concatenate(parts) for path, parts in found.items()}


def _recorder(method, path, found, seen, reduce):
    def recorded(*args, **kwargs):
        result = method(*args, **kwargs)
        if path not in seen:
            seen.add(path)
            array = ops.convert_to_numpy(ops.cast(reduce(result), "float32"))
            found.setdefault(path, []).append(array)
        return result

    return recorded
