"""What layers inside a model see and return, batch by batch."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from ..batches import batches
from ..walk import inner_layers, watching


def record_method(
    model: keras.Model, kind, method: str, images, batch_size: int, reduce: Callable = lambda x: x
) -> dict[str, np.ndarray]:
    """Run a model eagerly and keep what a method of some of its layers returns.

    Args:
        model: any built model.
        kind: class (or classes) of the layers.
        method: name of their method.
        images: array (n, h, w, c).
        batch_size: int >= 1, pictures at a time.
        reduce: what is kept of one result, a tensor (b, ...).

    Returns:
        {path of the layer: float32 array (n, ...)}, in the order of the calls. Later calls
        of a shared layer are left out.

    Raises:
        ValueError: for a batch size below 1.
    """
    found: dict[str, list] = {}
    seen: set[str] = set()

    def note(path, layer, inputs, result):
        if path not in seen:
            seen.add(path)
            array = ops.convert_to_numpy(ops.cast(reduce(result), "float32"))
            found.setdefault(path, []).append(array)

    chosen = (
        (path, layer, method) for path, layer in inner_layers(model) if isinstance(layer, kind)
    )
    with watching(chosen, note):
        for batch in batches(images, batch_size):
            seen.clear()
            model(batch, training=False)
    return {path: np.concatenate(parts) for path, parts in found.items()}
