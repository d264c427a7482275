"""Pictures that are in memory: arrays, an .npz file, Keras' data sets."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .one_download import one_download
from .source import Source

CLASS_NAMES = {
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck".split(),
    "cifar100": [str(number) for number in range(100)],
    "mnist": [str(number) for number in range(10)],
    "fashion_mnist": "top trouser pullover dress coat sandal shirt sneaker bag boot".split(),
}


def array_source(images: np.ndarray, labels, class_names: Sequence[str], name: str) -> Source:
    """Pictures (n, height, width, 3) or grey ones (n, height, width), uint8, and their labels.

    Raises:
        ValueError: for arrays of another kind, or labels that are no classes.
    """
    images, labels = np.asarray(images), np.asarray(labels).reshape(-1)
    grey = images.ndim == 3 or images.shape[-1] == 1
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not (grey or images.shape[-1] == 3):
        raise ValueError(
            "Pictures in arrays must be uint8 of shape (n, height, width, 3), or grey. "
            f"Received: {name} of {images.dtype}, shape {images.shape}"
        )
    if len(labels) != len(images) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} needs {len(images)} integer labels. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if not len(labels):
        raise ValueError(f"There are no pictures in {name}")
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            f"The labels of {name} must be in [0, {len(class_names)}), by the class names. "
            f"Received: {labels.min()} to {labels.max()}"
        )

    return Source(
        lambda number: three_channels(images[number]),
        labels,
        tuple(class_names),
        lambda number: f"{name}[{number}]",
        identity=lambda number: hashlib.sha256(images[number].tobytes()).hexdigest(),
    )


def three_channels(picture: np.ndarray) -> np.ndarray:
    """A picture (h, w, 3), of a grey one (h, w) or (h, w, 1) too."""
    if picture.ndim == 2:
        picture = picture[..., None]
    return np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture


def keras_dataset(name: str) -> tuple[Source, Source]:
    """Training and test pictures of `keras.datasets`, which downloads them once.

    Raises:
        OSError: if they cannot be downloaded, or read.
    """
    import keras

    try:
        with one_download(name):
            loaded = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises it as such where there is no connection
        raise OSError(f"Keras could not load its data set {name!r}: {error}") from error
    parts = zip(("train", "test"), loaded, strict=True)
    training, test = (
        array_source(images, labels, CLASS_NAMES[name], f"{name} {part}")
        for part, (images, labels) in parts
    )
    return training, test


def npz_file(path: Path) -> tuple[Source, Source | None]:
    """x_train, y_train and perhaps x_val, y_val, class_names of a file."""
    if not path.is_file():
        raise ValueError(f"There is no such file. Received: data={str(path)!r}")
    with np.load(path) as arrays:
        missing = {"x_train", "y_train"} - set(arrays)
        if missing:
            raise ValueError(f"{str(path)!r} lacks {sorted(missing)}; it has {sorted(arrays)}")
        read = {name: arrays[name] for name in arrays}
    if ("x_val" in read) != ("y_val" in read):
        raise ValueError(f"{str(path)!r} must have both of x_val and y_val, or neither")
    classes = int(max(read[name].max(initial=0) for name in read if name.startswith("y_"))) + 1
    names = read.get("class_names", np.arange(classes)).astype(str)
    training = array_source(read["x_train"], read["y_train"], names, "x_train")
    if "x_val" not in read:
        return training, None
    return training, array_source(read["x_val"], read["y_val"], names, "x_val")
