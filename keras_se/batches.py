"""Models run eagerly on pictures, a batch at a time."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from .layers._common import check_count


def batches(images, batch_size: int) -> Iterator:
    """Slices of an array, or of every array in a structure.

    Args:
        images: array (n, ...), or a list or dict of such arrays.
        batch_size: int >= 1, pictures at a time; the last slice may be shorter.

    Raises:
        ValueError: for a batch size below 1.
        TypeError: for anything but arrays, such as a dataset.

    >>> [len(batch) for batch in batches(np.zeros((5, 2)), 2)]
    [2, 2, 1]
    """
    check_count("batch_size", batch_size)
    starts = range(0, count(images), batch_size)
    arrays = keras.tree.map_structure(np.asarray, images)
    return (keras.tree.map_structure(lambda a, s=s: a[s : s + batch_size], arrays) for s in starts)


def count(images) -> int:
    """How many pictures an array or a structure of arrays holds.

    Raises:
        TypeError: for anything but arrays, such as a dataset.
    """
    first = keras.tree.flatten(images)[0]
    if not getattr(first, "shape", ()):
        raise TypeError(
            "`images` must be an array (n, height, width, channels), or a list or dict of arrays. "
            f"Received: {type(first).__name__}"
        )
    return len(first)


def outputs(model: keras.Model, images, batch_size: int) -> list[np.ndarray]:
    """What a model returns for all pictures, in inference mode: one array for each output.

    Args:
        model: any built model.
        images: array (n, h, w, c), or what the model takes: a list or dict of arrays.
        batch_size: int >= 1, pictures at a time.

    Raises:
        ValueError: for a batch size below 1.
    """
    parts = [
        [ops.convert_to_numpy(t) for t in keras.tree.flatten(model(batch, training=False))]
        for batch in batches(images, batch_size)
    ]
    return [np.concatenate(output) for output in zip(*parts, strict=True)]
