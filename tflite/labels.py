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


def checked_labels(
    images: "Images", labels=None, classes: int | None = None, strict: bool = True
) -> "Images":
    """The images with labels that are classes of a model, or with none.

    Args:
        images: with the labels of a dataset or of class folders, or without.
        labels: class indices or one-hot rows. None takes those of the images, unless they count
            class folders and the model has another number of classes.
        classes: of the model; None where its output is not one row of at least two.
        strict: whether labels that do not fit are refused; False leaves them out.

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
        if not strict:
            return replace(images, labels=None)
        raise ValueError(
            f"Labels are classes of the model, from 0 to {classes - 1}. Received: labels from "
            f"{labels.min()} to {labels.max()}. {_WITHOUT_LABELS}"
        )
    return replace(images, labels=labels)


def dataset_labels(parts: list, count: int, strict: bool = True) -> np.ndarray | None:
    """Class indices, (n,), from the second part of each element of a dataset.

    Args:
        parts: for each element a row of labels, or whatever else there is.
        count: number of images.
        strict: whether what is no label is refused; False gives None for it.

    Raises:
        ValueError: for masks, boxes, dictionaries and the like, with `strict`.
    """
    try:
        rows = [np.asarray(part) for part in parts]
        return as_labels(np.concatenate(rows), count)  # refuses rows of different shapes itself
    except ValueError as error:
        if not strict:
            return None
        raise ValueError(
            "The second part of a dataset's tuples is taken for labels, and these are none; masks "
            f"or boxes are not used. {_WITHOUT_LABELS}. {error}"
        ) from error
