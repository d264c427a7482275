"""Labels of images: the classes that they show."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .images import Images

_WITHOUT_LABELS = "A dataset goes without by dataset.map(lambda image, *_: image)"


def as_labels(labels, count: int) -> np.ndarray:
    """Class indices, (n,), from indices or one-hot rows; one for each image.

    >>> as_labels([[0, 1], [0.9, 0.1]], 2).tolist()
    [1, 0]
    """
    given = labels = np.asarray(labels)
    numbers = labels.dtype.kind in "iufb"
    if numbers and labels.ndim == 2 and labels.shape[1] > 1 and _are_shares(labels):
        labels = labels.argmax(axis=1)
    if not numbers or {labels.size, *labels.shape[:1]} != {count} or (labels % 1 != 0).any():
        raise ValueError(
            f"One class index, or one-hot row with the sum 1, is needed for each of the {count} "
            f"images. Received: labels of shape {given.shape} and dtype {given.dtype}"
        )
    return labels.reshape(-1).astype("int64")


def _are_shares(rows: np.ndarray) -> bool:
    """Whether rows are one-hot or smoothed so; boxes, for one, are not."""
    return bool((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-2))


def checked_labels(images: "Images", labels=None, classes: int | None = None) -> "Images":
    """The images with labels that are classes of a model, or with none.

    Args:
        images: with the labels of a dataset or of class folders, or without.
        labels: class indices or one-hot rows. None takes those of the images, unless they count
            class folders and the model has another number of classes.
        classes: of the model; None where its output is not one row of at least two.

    Raises:
        ValueError: for labels that are not one for each image, each in [0, classes).
    """
    names = images.class_names
    if labels is None and (names is None or len(names) == classes):
        labels = images.labels
    if labels is not None:
        labels = as_labels(labels, len(images))
    if labels is None or classes is None:
        return replace(images, labels=None)
    if not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"Labels are classes of the model, from 0 to {classes - 1}. Received: labels from "
            f"{labels.min()} to {labels.max()}. {_WITHOUT_LABELS}"
        )
    return replace(images, labels=labels)


def dataset_labels(parts: list[np.ndarray], count: int) -> np.ndarray:
    """Class indices, (n,), from the second part of each element of a dataset."""
    try:
        return as_labels(np.concatenate(parts), count)  # refuses parts of different shapes itself
    except ValueError as error:
        raise ValueError(
            "The second part of a dataset's tuples is taken for labels, and these are none; masks "
            f"or boxes are not used. {_WITHOUT_LABELS}. {error}"
        ) from error
