"""Top-1 and top-5 on a folder of pictures, prepared as for the published figures."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ...layers._common import check_count
from ...names import check_name
from ..construction.imagenet_trunk import IMAGENET_TRUNK
from ..preprocessing import RAW, Preprocessing
from ..registry import LISTED_BY, MODELS
from ..weights.sources import Graph, find_source
from ..weights.table import Weights
from .pictures import FILTERS, Loader, batches, check_folder, find_pictures
from .tally import Tally


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        network: name of the network.
        weights: name of the published weights; None for others.
        images: number of pictures.
        top1: percent whose class has the highest score.
        top5: percent whose class is among the five highest scores.
        published_top1: percent, of the same weights on ImageNet's validation pictures.
        size: side of the pictures that the network saw, in pixels.
        crop: part of the resized picture's short side that this is.
        interpolation: filter of the resize.
        raw_pixels: whether the network saw pixels in [0, 255] as they are.
    """

    network: str
    weights: str | None
    images: int
    top1: float
    top5: float
    published_top1: float | None
    size: int
    crop: float
    interpolation: str
    raw_pixels: bool = False

    def as_dict(self) -> dict:
        """Strings and numbers only, for JSON."""
        return asdict(self)


def evaluate(
    network: str | keras.Model,
    data: str | os.PathLike,
    *,
    weights: str | os.PathLike | None = "imagenet",
    variant: str | None = None,
    size: int | None = None,
    crop: float | None = None,
    interpolation: str | None = None,
    class_names: Sequence[str] | None = None,
    preprocess: Preprocessing | None = None,
    batch_size: int = 32,
    state: str | os.PathLike | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure top-1 and top-5 accuracy on a folder of pictures.

    Args:
        network: name of a constructor, such as "SEResNet50", or a classifier of RGB pictures.
        data: a folder with one folder of .jpeg, .jpg or .png pictures for each class.
            Hidden files and folders are passed over; pictures are turned upright by their
            EXIF tag.
        weights: of a network given by name: as the constructor's argument.
        variant: of a network given by name: as the constructor's argument.
        size: side of the pictures that the network sees, in pixels. None: that of the
            published weights, else the network's.
        crop: part of the resized picture's short side that this is, in (0, 1]. None:
            that of the published weights, else 0.875. `keras_se.training.fit` validates with its
            setting `validation_crop`, by default 1.0.
        interpolation: "bicubic" or "bilinear". None: that of the published weights,
            else "bicubic".
        class_names: the folders' names in the order of the network's outputs. None: those
            that the network carries, else sorted, which is ImageNet's order for folders named
            n01440764 and so on. With names, there need not be a folder for each.
        preprocess: how raw pixels are normalised. None: as the network's own `preprocess` does;
            a network without one takes them as they are.
        batch_size: int >= 1, pictures at a time.
        state: file that keeps what was counted so far; a call with the same
            arguments resumes from there.
        progress: called with the pictures done and all pictures, after each batch.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: for a network that is no classifier of RGB pictures, weights or a variant
            besides a model, a size, crop or batch size out of its range, or a missing folder;
            if the folders are not the network's classes, if a picture cannot be read, or if
            `state` belongs to another evaluation.
        DownloadError: if published weights are not in the cache and cannot be fetched.
    """
    if size is not None:
        size = check_count("size", size)
    if crop is not None and not 0 < crop <= 1:
        raise ValueError(f"`crop` must be in (0, 1]. Received: crop={crop}")
    batch_size = check_count("batch_size", batch_size)
    check_folder(Path(data))
    if isinstance(network, str):
        row = _published(network, weights, variant)
    else:
        row = None
        check_network(network)
        if variant is not None or weights not in (None, "imagenet"):
            raise ValueError(
                "`weights` and `variant` are those of a network given by name; a model has its "
                f"own. Received: weights={weights!r}, variant={variant!r}"
            )
    size = size or (row.size if row else _size_of(network))
    crop = crop or (row.crop if row else 0.875)
    interpolation = interpolation or (row.interpolation if row else "bicubic")
    check_name("interpolation", interpolation, FILTERS)
    if isinstance(network, str):
        network = MODELS[network](
            weights=weights,
            variant=variant,
            input_shape=(size, size, 3),
            classifier_activation=None,
        )
    names = class_names or getattr(network, "class_names", None)
    files, labels = find_pictures(Path(data), network.output_shape[-1], names)
    normalise = preprocess or getattr(network, "preprocess", None) or RAW
    facts: dict[str, Any] = {"size": size, "crop": crop, "interpolation": interpolation}
    key = facts | {"network": _digest(network), "pictures": _names(files)}
    if preprocess is not None:
        key["preprocess"] = repr(preprocess)
    tally = Tally(state, key)
    load = Loader(**facts)
    for start, pictures in batches(files, tally.images, batch_size, load):
        scores = network.predict_on_batch(normalise(pictures))
        tally.add(np.asarray(scores), labels[start : start + len(pictures)])
        if progress is not None:
            progress(tally.images, len(files))
    return Evaluation(
        network=network.name,
        weights=row.name if row else None,
        images=tally.images,
        top1=100 * tally.top1 / tally.images,
        top5=100 * tally.top5 / tally.images,
        published_top1=row.top1 if row else None,
        raw_pixels=normalise == RAW,
        **facts,
    )


def _published(network: str, weights, variant: str | None) -> Weights | None:
    """The published weights that a network by name is to have; None for others."""
    spec = MODELS[check_name("network", network, MODELS, LISTED_BY)].spec
    if weights == IMAGENET_TRUNK:
        return None
    source = find_source(weights, Graph(spec, variant or spec.default_variant))
    return None if source is None else source.weights


def check_network(network: keras.Model) -> None:
    """Raise unless a model is a classifier of RGB pictures."""
    takes, gives = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    pictures = isinstance(takes, tuple) and len(takes) == 4 and takes[-1] == 3
    if not pictures or not isinstance(gives, tuple) or len(gives) != 2:
        raise ValueError(
            "A classifier of RGB pictures is needed: one input (batch, height, width, 3) and one "
            f"output (batch, classes). Received: input_shape={takes}, output_shape={gives}"
        )


def _size_of(network) -> int:
    if isinstance(network, str):
        return MODELS[network].spec.size
    height, width = network.input_shape[1:3]
    if height is None or height != width:
        raise ValueError(
            f"A network without a square input shape needs `size`. "
            f"Received: input_shape={network.input_shape}, size=None"
        )
    return height


def _names(files: list[Path]) -> str:
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in files)
    return hashlib.sha256(names.encode()).hexdigest()


def _digest(network) -> str:
    digest = hashlib.sha256(network.name.encode())
    for weight in network.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()
