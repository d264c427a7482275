"""From a network's answer to class names."""

from collections.abc import Sequence

import keras
import numpy as np

from ..layers._common import check_count
from .weights.download import DownloadError, keras_directory

IMAGENET_CLASSES = 1000


def decode_predictions(preds, top: int = 5, class_names: Sequence[str] | None = None):
    """Name the most probable classes of each picture: a model's own, or ImageNet's.

    Args:
        preds: (batch, classes) array of probabilities.
        top: int >= 1, how many classes to name.
        class_names: names of the outputs in their order, such as `model.class_names`. None:
            those of ImageNet's 1000 classes.

    Returns:
        For each picture a list of (id, class name, probability), best first. The id is
        ImageNet's WordNet id; with `class_names` it is the number of the output.

    Raises:
        ValueError: if `preds` does not hold one number for each class, or for top < 1.
        DownloadError: if the file of ImageNet's names, which Keras fetches once, is not in its
            cache and cannot be fetched.

    >>> decode_predictions([[0.25, 0.625, 0.125]], top=2, class_names=["cat", "dog", "fox"])
    [[(1, 'dog', 0.625), (0, 'cat', 0.25)]]
    """
    preds = keras.ops.convert_to_numpy(preds)
    top = check_count("top", top)
    classes = IMAGENET_CLASSES if class_names is None else len(class_names)
    if preds.ndim != 2 or preds.shape[1] != classes:
        whose = "ImageNet's; `class_names` names others" if class_names is None else "`class_names`"
        raise ValueError(
            f"`preds` must be (batch, {classes}), a number for each class of {whose}. "
            f"Received: preds of shape {preds.shape}"
        )
    if class_names is None:
        return _decode_imagenet(preds, top)
    best = np.argsort(-preds, axis=1, kind="stable")[:, :top].tolist()
    return [
        [(index, class_names[index], float(row[index])) for index in indices]
        for row, indices in zip(preds, best, strict=True)
    ]


def _decode_imagenet(preds: np.ndarray, top: int):
    try:
        return keras.applications.imagenet_utils.decode_predictions(preds, top=top)
    except ValueError:
        raise
    except Exception as error:  # Keras raises no other class
        raise DownloadError(
            f"The names of ImageNet's classes are not at hand: {error}. Fetch that file by hand, "
            f"on any machine, and save it as "
            f"{keras_directory() / 'models' / 'imagenet_class_index.json'}"
        ) from error
