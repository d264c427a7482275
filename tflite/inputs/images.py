"""The caller's images as one checked array."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...picture_folders import class_folders, picture_files
from ...picture_reading import MODES, read_picture
from .labels import dataset_labels


@dataclass(frozen=True)
class Images:
    """Images as `model.predict` takes them.

    Attributes:
        pixels: array (n, h, w, c), uint8 or float32.
        labels: array (n,) of class indices, or None.
        class_names: names of the classes where they came from folders, or None.
        no_labels: why there are folders, or names of classes, and yet no labels; or None.
        unnormalised: whether they reach as raw pixels a model that is not known to take such.
    """

    pixels: np.ndarray
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    no_labels: str | None = None
    unnormalised: bool = False

    def __len__(self) -> int:
        return len(self.pixels)


def load_images(
    source, shape: tuple[int, int, int], raw_pixels: bool = False, strict_labels: bool = True
) -> Images:
    """Read images from any of the accepted sources and check them.

    All images are held in memory (224x224x3 as uint8: 150 kB each); `.take(n)` of a
    large dataset is enough, a few hundred serve for calibration.

    Args:
        source: array (n, h, w, c); list of arrays (h, w, c); `tf.data.Dataset` of images or
            (image, label) tuples, batched or not; or a directory of PNG and JPEG pictures,
            directly in it or in one folder per class; names that begin with a dot are
            skipped. Pictures are read as raw pixels in [0, 255], grey, RGB or RGBA by the
            number of channels, turned upright by their EXIF tag, and resized to (h, w) without
            keeping the aspect ratio (bicubic, antialiased, as
            `keras_se.training.pictures_from_directory` does it). Labels come from the dataset or
            are the positions of the class folders in sorted order.
        shape: (h, w, c) that the model takes.
        raw_pixels: the images are raw pixels and must lie in [0, 255].
        strict_labels: whether the second part of a dataset's tuples must be labels. False takes
            the images alone where it is something else, such as masks or boxes.

    Raises:
        TypeError: for a source of another kind.
        ValueError: when there are no images, a shape differs, a value is NaN or infinite or
            out of the range, a picture cannot be read or has more than 8 bits per channel, or
            the second part of a dataset is no label, with `strict_labels`.
    """
    tf = sys.modules.get("tensorflow")  # whoever passes a Dataset has imported it
    if isinstance(source, Images):
        images = source
    elif isinstance(source, (str, os.PathLike)):
        images = _from_directory(Path(source), shape)
    elif tf is not None and isinstance(source, tf.data.Dataset):
        images = _from_dataset(source, tf, strict_labels)
    elif isinstance(source, (list, tuple)):
        images = Images(_stack(source, shape))
    elif isinstance(source, np.ndarray) or (tf is not None and tf.is_tensor(source)):
        images = Images(np.asarray(source))
    else:
        raise TypeError(
            "Images are an array (n, h, w, c), a list of arrays (h, w, c), a tf.data.Dataset or "
            f"a directory of pictures. Received: {type(source).__name__}"
        )
    return replace(images, pixels=_checked(images.pixels, shape, raw_pixels))


def _checked(pixels, shape, raw_pixels: bool) -> np.ndarray:
    if pixels.size == 0:
        raise ValueError(f"No images were given. Received: an array of shape {pixels.shape}")
    if pixels.shape[1:] != tuple(shape):
        raise ValueError(
            f"The model takes images of shape {tuple(shape)} (height, width, channels), in an "
            f"array (n, height, width, channels). Received: an array of shape {pixels.shape}"
        )
    if pixels.dtype.kind not in "iuf":
        raise ValueError(f"Images are numbers. Received: dtype {pixels.dtype}")
    if pixels.dtype != np.uint8:
        pixels = pixels.astype("float32")
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low + high) and not np.isfinite(pixels).all():
        raise ValueError("The images contain NaN or infinite values (as float32)")
    if raw_pixels and not 0 <= low <= high <= 255:
        raise ValueError(
            "With preprocess, images are raw pixels in [0, 255]: preprocess is applied in the "
            f"graph, not before. Received: values in [{low:g}, {high:g}]"
        )
    if raw_pixels and high <= 1 and (pixels % 1 != 0).any():
        raise ValueError(
            "With preprocess, images are raw pixels in [0, 255]; these look scaled to [0, 1]. "
            f"Multiply them by 255. Received: values in [{low:g}, {high:g}]"
        )
    return pixels


def _stack(arrays, shape) -> np.ndarray:
    arrays = [np.asarray(array) for array in arrays]
    for index, array in enumerate(arrays):
        if array.shape != tuple(shape):
            raise ValueError(
                f"The model takes images of shape {tuple(shape)} (height, width, channels). "
                f"Received: image {index} of the list with shape {array.shape}"
            )
    return np.stack(arrays) if arrays else np.empty((0, *shape))


def _from_dataset(dataset, tf, strict_labels: bool) -> Images:
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The dataset repeats for ever: pass dataset.take(n)")
    images, labels = [], []
    for element in dataset.as_numpy_iterator():
        image, *rest = element if isinstance(element, tuple) else (element,)
        if not isinstance(image, np.ndarray) or image.ndim not in (3, 4):
            raise ValueError(
                "A dataset yields images (h, w, c), batches (b, h, w, c), or tuples that begin "
                f"with one. Received: {dataset.element_spec}"
            )
        batched = image.ndim == 4
        images.append(image if batched else image[None])
        if rest:
            labels.append(rest[0] if batched else [rest[0]])
    if not images:
        raise ValueError("No images were given. Received: an empty dataset")
    pixels = np.concatenate(images)
    found = dataset_labels(labels, len(pixels), strict_labels) if labels else None
    return Images(pixels, found)


def _from_directory(directory: Path, shape) -> Images:
    if not directory.is_dir():
        raise ValueError(f"No such directory of pictures. Received: {str(directory)!r}")
    by_class = {folder: picture_files(folder) for folder in class_folders(directory)}
    folders = [folder for folder, files in by_class.items() if files]
    loose = picture_files(directory)
    if folders and loose:
        raise ValueError(
            "Pictures lie either directly in the directory or in one folder per class, not both. "
            f"Received: {str(directory)!r} with {loose[0].name!r} and {folders[0].name!r}/"
        )
    files = loose or [file for folder in folders for file in by_class[folder]]
    if not files:
        raise ValueError(f"No PNG or JPEG pictures in the directory. Received: {str(directory)!r}")
    if shape[-1] not in MODES:
        raise ValueError(f"Pictures have 1, 3 or 4 channels. Received: a model input of {shape}")
    pixels = np.stack([read_picture(file, shape) for file in files])
    if loose:
        return Images(pixels)
    names = tuple(folder.name for folder in folders)
    labels = np.array([names.index(file.parent.name) for file in files])
    return Images(pixels, labels, names)
