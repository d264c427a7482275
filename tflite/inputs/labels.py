"""Labels of images: the classes that they show."""

import numpy as np

WITHOUT_LABELS = "A dataset goes without by dataset.map(lambda image, *_: image)"


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
            f"or boxes are not used. {WITHOUT_LABELS}. {error}"
        ) from error
