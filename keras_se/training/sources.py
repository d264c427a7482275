"""Where the pictures of a run come from: one by one, by number."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .pictures import find_pictures, open_picture, set_aside
from .settings import FitSettings


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled pictures that are read when they are asked for.

    Attributes:
        read: number -> uint8 array (height, width, 3); raises ValueError where it cannot.
        labels: integers (n,), indices into `class_names`.
        class_names: tuple of str.
        name: number -> what to call the picture in a message.
        unreadable: name -> why, of the pictures that were met and skipped so far.
    """

    read: Callable[[int], np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...]
    name: Callable[[int], str]
    unreadable: dict[str, str] = field(default_factory=dict)

    def __len__(self):
        return len(self.labels)

    def read_or_note(self, number: int) -> np.ndarray | None:
        """The picture, or None after it has been noted as unreadable."""
        if self.name(number) in self.unreadable:
            return None
        try:
            return self.read(number)
        except ValueError as error:
            self.unreadable[self.name(number)] = " ".join(str(error).split())
            return None

    def read_or_next(self, number: int) -> tuple[np.ndarray, int]:
        """The picture, or in the place of an unreadable one the next that is not; its number."""
        for candidate in range(number, number + len(self)):
            picture = self.read_or_note(candidate % len(self))
            if picture is not None:
                return picture, candidate % len(self)
        raise ValueError(f"None of the {len(self)} pictures can be read: {self.unreadable}")

    def digest(self) -> str:
        """Tells other pictures or labels, by their names and number."""
        digest = hashlib.sha256(repr(self.class_names).encode() + self.labels.tobytes())
        for number in range(len(self)):
            digest.update(self.name(number).encode())
        return digest.hexdigest()


def load_sources(settings: FitSettings) -> tuple[Source, Source]:
    """The training and the validation pictures of a run.

    Raises:
        ValueError: if `settings.data` is nothing that can be read.
        ImportError: if it needs tensorflow_datasets, which is not installed.
    """
    data = settings.data
    if data == "cifar10":
        return _cifar10()
    if data.startswith("tfds:"):
        return _tfds(data.removeprefix("tfds:"), settings)
    if data.endswith(".npz"):
        return _npz(Path(data), settings)
    return _folder(Path(data), settings)


def _folder(directory: Path, settings: FitSettings) -> tuple[Source, Source]:
    training, validation = directory / "train", directory / "val"
    if not (training.is_dir() and validation.is_dir()):
        return _split(_files(directory), settings)
    sources = _files(training), _files(validation)
    if sources[0].class_names != sources[1].class_names:
        raise ValueError(
            "train/ and val/ must hold the same classes. Received: "
            f"{sorted(set(sources[0].class_names) ^ set(sources[1].class_names))} in one only, "
            f"of data={str(directory)!r}"
        )
    return sources


def _files(directory: Path) -> Source:
    files = find_pictures(directory)
    paths = [path for of_class in files.values() for path in of_class]
    labels = [label for label, of_class in enumerate(files.values()) for _ in of_class]
    return Source(
        read=lambda number: np.asarray(open_picture(paths[number], "RGB")),
        labels=np.array(labels),
        class_names=tuple(files),
        name=lambda number: str(paths[number].relative_to(directory)),
    )


def _split(source: Source, settings: FitSettings) -> tuple[Source, Source]:
    """Set a part of every class aside, for validation."""
    aside = set_aside(source.labels, source.class_names, settings.validation, settings.seed)
    return _part(source, np.flatnonzero(~aside)), _part(source, np.flatnonzero(aside))


def _part(source: Source, numbers: np.ndarray) -> Source:
    return Source(
        read=lambda number: source.read(numbers[number]),
        labels=source.labels[numbers],
        class_names=source.class_names,
        name=lambda number: source.name(numbers[number]),
    )


def _array(images: np.ndarray, labels: np.ndarray, class_names, name: str) -> Source:
    labels = np.asarray(labels).reshape(-1)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            "Pictures in arrays must be uint8 of shape (n, height, width, 3). "
            f"Received: {name} of {images.dtype}, shape {images.shape}"
        )
    if len(labels) != len(images) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} needs {len(images)} integer labels. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(
            f"The labels of {name} must be in [0, {len(class_names)}), by the class names. "
            f"Received: {labels.min()} to {labels.max()}"
        )
    return Source(
        lambda number: images[number],
        labels,
        tuple(class_names),
        lambda number: f"{name}[{number}]",
    )


CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()


def _cifar10() -> tuple[Source, Source]:
    import keras

    (images, labels), test = keras.datasets.cifar10.load_data()
    training = _array(images, labels, CIFAR10, "cifar10 train")
    return training, _array(test[0], test[1], CIFAR10, "cifar10 test")


def _npz(path: Path, settings: FitSettings) -> tuple[Source, Source]:
    if not path.is_file():
        raise ValueError(f"There is no such file. Received: data={str(path)!r}")
    with np.load(path) as arrays:
        missing = {"x_train", "y_train"} - set(arrays)
        if missing:
            raise ValueError(f"{str(path)!r} lacks {sorted(missing)}; it has {sorted(arrays)}")
        read = {name: arrays[name] for name in arrays}
    if ("x_val" in read) != ("y_val" in read):
        raise ValueError(f"{str(path)!r} must have both of x_val and y_val, or neither")
    classes = int(max(read[name].max() for name in read if name.startswith("y_"))) + 1
    names = read.get("class_names", np.arange(classes)).astype(str)
    training = _array(read["x_train"], read["y_train"], names, "x_train")
    if "x_val" not in read:
        return _split(training, settings)
    return training, _array(read["x_val"], read["y_val"], names, "x_val")


def _tfds(name: str, settings: FitSettings) -> tuple[Source, Source]:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "tfds:NAME needs TensorFlow Datasets: pip install tensorflow-datasets"
        ) from error
    builder = tfds.builder(name, file_format="array_record")  # the format that is read by number
    builder.download_and_prepare()
    held_out = [split for split in ("validation", "test") if split in builder.info.splits]
    training = _tfds_split(builder, "train")
    if not held_out:
        return _split(training, settings)
    return training, _tfds_split(builder, held_out[0])


def _tfds_split(builder, split: str) -> Source:
    rows = builder.as_data_source(split=split)
    return Source(
        read=lambda number: _three_channels(rows[int(number)]["image"]),
        labels=np.array([row["label"] for row in rows]),
        class_names=tuple(builder.info.features["label"].names),
        name=lambda number: f"{builder.name} {split}[{number}]",
    )


def _three_channels(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture
