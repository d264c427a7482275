"""This library's own files: what they say of their network, and how a network takes them."""

import json
import warnings
import zipfile
from pathlib import Path

import keras

from ..preprocessing import Preprocessing
from .hdf5 import check_surplus, open_hdf5


def saved_config(path: Path) -> dict:
    """The configuration of the `ImageModel` in a .keras file; {} for any other file."""
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            return {}
        model = json.loads(archive.read("config.json"))
    return model["config"] if model.get("class_name") == "ImageModel" else {}


def saved_preprocessing(path: Path) -> Preprocessing | None:
    """How the network in a .keras file normalises pixels; None where the file says nothing."""
    config = saved_config(path).get("preprocess")
    return Preprocessing.from_config(config) if config else None


def load_keras_file(path: Path, model: keras.Model, new_head: bool) -> None:
    """Give a network the weights of a .keras or .weights.h5 file.

    Args:
        path: what `save` or `save_weights` of the same network wrote.
        model: the network.
        new_head: whether a classifier for another number of classes stays as it is, with a
            warning.

    Raises:
        ValueError: if the file is of another network, or cannot be read.
    """
    check_surplus(path, model)
    name, taker = model.name, model
    if new_head and (classes := _other_classes(path, model)):
        head = model.get_layer("predictions")
        warnings.warn(
            f"The file's classifier is for {classes} classes: the network keeps the file's trunk "
            f"and starts a new classifier for {head.units}.",
            stacklevel=4,
        )
        theirs = keras.layers.Dense(classes, dtype=head.dtype_policy, name="predictions")
        taker = keras.Model(model.inputs, theirs(head.input))
    try:
        taker.load_weights(path)
    except ValueError as error:
        raise ValueError(
            f"The file is of another network than '{name}'. Received: weights={str(path)!r}\n"
            f"{error}"
        ) from error


def _other_classes(path: Path, model: keras.Model) -> int | None:
    """How many classes the file's classifier has, if the network has one for others."""
    dense = [layer for layer in model.layers if type(layer) is keras.layers.Dense]
    if not dense or dense[-1].name != "predictions":
        return None
    number = len(dense) - 1  # Keras numbers the layers of a class in their order
    with open_hdf5(path) as file:
        bias = file.get(f"layers/dense{f'_{number}' if number else ''}/vars/1")
        classes = None if bias is None else bias.shape[0]
    return None if classes == dense[-1].units else classes
