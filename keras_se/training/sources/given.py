"""Pictures that the caller of `fit` holds: arrays, `Pictures`, a `tf.data.Dataset`."""

import numpy as np

from ..pictures import Pictures
from .arrays import array_source
from .source import Source


def given_pictures(training, validation) -> tuple[Source, Source | None]:
    """What the caller of `fit` holds: (images, labels), or a finite `tf.data.Dataset` of them.

    Raises:
        ValueError: for data sets without end, and pictures or labels of another kind.
    """
    parts = {"training": _arrays(training)}
    if validation is not None:
        parts["validation"] = _arrays(validation)
    classes = max(classes for *_, classes in parts.values())
    names = getattr(training, "class_names", None) or [str(number) for number in range(classes)]
    made = [
        array_source(images, labels, names, name) for name, (images, labels, _) in parts.items()
    ]
    return made[0], made[1] if validation is not None else None


def _arrays(pictures) -> tuple[np.ndarray, np.ndarray, int]:
    """Images, labels and the number of classes that the labels show."""
    if isinstance(pictures, Pictures):
        pictures = pictures.images, pictures.labels
    if isinstance(pictures, tuple | list) and len(pictures) == 2:
        return _bytes(np.asarray(pictures[0])), *_numbers(np.asarray(pictures[1]))
    if not hasattr(pictures, "as_numpy_iterator"):
        raise ValueError(
            "Pictures are (images, labels) or a tf.data.Dataset of them. "
            f"Received: {type(pictures).__name__}"
        )
    elements = pictures.element_spec
    if not isinstance(elements, tuple) or len(elements) != 2:
        raise ValueError(
            "A tf.data.Dataset must have elements (images, labels); map() makes them. "
            f"Received: {elements}"
        )
    if pictures.cardinality() < 0:
        raise ValueError(
            "A tf.data.Dataset must be finite and know its length: no repeat(), and "
            "apply(tf.data.experimental.assert_cardinality(n)) where it cannot know"
        )
    images, labels = zip(*pictures.as_numpy_iterator(), strict=True)
    join = np.concatenate if np.ndim(images[0]) == 4 else np.stack
    return _bytes(join(images)), *_numbers(join(labels))


def _numbers(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels as integers, of one-hot ones and of whole floats too, and the number of classes.

    `keras.utils.image_dataset_from_directory` gives such, by its `label_mode`.
    """
    if not np.issubdtype(labels.dtype, np.number) or not labels.size:
        raise ValueError(f"Labels are integers. Received: {labels.dtype} of shape {labels.shape}")
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise ValueError(
                "Labels are integers, or one-hot. "
                f"Received: {labels.dtype} of shape {labels.shape}, such as {labels[0]}"
            )
        return labels.argmax(axis=1), labels.shape[1]
    if np.issubdtype(labels.dtype, np.floating) and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    return labels, 1 + int(labels.max())


def _bytes(images: np.ndarray) -> np.ndarray:
    """Floats that are bytes but for rounding, such as Keras' utilities give, as bytes."""
    if not np.issubdtype(images.dtype, np.floating) or not images.size:
        return images
    if images.min() < 0 or not 1 < images.max() <= 255:
        raise ValueError(
            "Pictures as floats must be in [0, 255], not normalised. "
            f"Received: {images.min():g} to {images.max():g}"
        )
    return np.rint(images).astype(np.uint8)
