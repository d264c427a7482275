"""Labels of images that are classes of a model, or are left out."""

from dataclasses import replace

import keras
import numpy as np

from ...names import counted
from .images import Images
from .labels import WITHOUT_LABELS, as_labels
from .source import class_names_of, classes_of


def labels_of_model(images: Images, model: keras.Model, labels=None, strict: bool = True) -> Images:
    """`checked_labels` for the classes of a model, and for their names where it knows them."""
    names = class_names_of(model)
    if names is not None:
        images = _by_name(images, names)
    return checked_labels(images, labels, classes_of(model), strict)


def _by_name(images: Images, names: tuple[str, ...]) -> Images:
    """The images with the classes that bear the names of their folders.

    `names` are all classes of the model in the order of its outputs; there need not be a folder
    for each.
    """
    folders = images.class_names
    if folders is None:
        return replace(images, class_names=names)
    unknown = [folder for folder in folders if folder not in names]
    if unknown:
        reason = f"no class of the model is named as the folder {unknown[0]!r}"
        return replace(images, labels=None, class_names=names, no_labels=reason)
    labels = np.array([names.index(folder) for folder in folders])[images.labels]
    return replace(images, labels=labels, class_names=names)


def checked_labels(
    images: Images, labels=None, classes: int | None = None, strict: bool = True
) -> Images:
    """The images with labels that are classes of a model, or with none.

    Args:
        images: with the labels of a dataset or of class folders, or without.
        labels: class indices or one-hot rows. None takes those of the images, unless they count
            class folders and the model has another number of classes.
        classes: of the model; None where its output is not one row of at least two.
        strict: whether labels that do not fit are refused; False leaves them out.

    Returns:
        The images; where folders are no classes, `no_labels` says why.

    Raises:
        ValueError: for labels that are not one for each image, each in [0, classes).
    """
    names = images.class_names
    if labels is not None:
        images = replace(images, no_labels=None)
    elif names is None or len(names) == classes:
        labels = images.labels
    elif classes is not None:
        reason = f"{counted(len(names), 'folder')} for {classes} classes"
        images = replace(images, no_labels=reason)
    if labels is not None:
        labels = as_labels(labels, len(images))
    if labels is None or classes is None:
        return replace(images, labels=None)
    if not 0 <= labels.min() <= labels.max() < classes:
        if not strict:
            return replace(images, labels=None)
        raise ValueError(
            f"Labels are classes of the model, from 0 to {classes - 1}. Received: labels from "
            f"{labels.min()} to {labels.max()}. {WITHOUT_LABELS}"
        )
    return replace(images, labels=labels)
