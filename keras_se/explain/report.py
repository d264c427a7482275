"""All figures that a model has, for a folder of pictures."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from ..files import replacing
from ..surgery.found_gates import find_gates
from . import figures
from .gates import gates
from .grad_cam import grad_cam
from .selective_kernels import SCALES, attention_by_scale, branch_weights
from .sensitivity import Sensitivity, is_classifier, sensitivity
from .spatial import spatial_maps

FIGURES = ("excitations", "kernels", "spatial", "grad_cam", "sensitivity")  # NAME.png
MOST_MAPS = 4  # spatial gates in a figure: the last of as many resolutions


@dataclass(frozen=True)
class Explanation:
    """What `explain_folder` wrote.

    Attributes:
        files: the figures' paths.
        images: number of pictures.
        sensitivity: accuracy by stage; None without classes or gates, or where the model is
            no classifier.
        no_accuracy: why pictures in folders have none all the same; or None.
        unnormalised: as in `tflite.Comparison`.
    """

    files: tuple[str, ...]
    images: int
    sensitivity: Sensitivity | None
    no_accuracy: str | None = None
    unnormalised: bool = False

    def to_dict(self) -> dict:
        """Strings and numbers only, for JSON."""
        return asdict(self)

    def __str__(self):
        lines = [*self.files]
        if self.sensitivity is not None:
            lines.append(str(self.sensitivity))
        if self.no_accuracy is not None:
            lines.append(f"accuracy and sensitivity left out: {self.no_accuracy}")
        if self.unnormalised:
            from ..tflite.inputs.normalisation import RAW_PIXELS

            lines.append(f"warning: {RAW_PIXELS}")
        return "\n".join(lines)


def explain_folder(
    model: keras.Model,
    directory: str | os.PathLike,
    output: str | os.PathLike,
    *,
    preprocess: Callable | Literal["included"] | None = None,
    shown: int = 4,
    overwrite: bool = False,
) -> Explanation:
    """Draw what the attention of a model does on pictures.

    Folders are classes of the model by their names where it knows the names of its classes
    (`class_names`), else when there is a folder for every class.

    Args:
        model: classifier with one image input of a fixed size.
        directory: PNG and JPEG pictures, directly in it or in one folder per class.
        output: folder for the figures; it is made.
        preprocess: from raw pixels in [0, 255] to what the model takes; "included" where it
            takes raw pixels; None: nothing is known, and nothing done.
        shown: pictures under maps.
        overwrite: whether to replace figures that exist.

    Returns:
        An `Explanation` with the paths of the figures.

    Raises:
        FileExistsError: if one of the `FIGURES` is there and `overwrite` is False.
        ValueError: if there are no pictures, or the model's input has no fixed size.
    """
    from ..tflite.inputs.images import load_images
    from ..tflite.inputs.model_labels import labels_of_model
    from ..tflite.inputs.normalisation import with_origin
    from ..tflite.inputs.source import image_shape

    _check_output(Path(output), overwrite)
    raw_pixels = preprocess is not None
    loaded = load_images(directory, image_shape(model, None), raw_pixels)
    checked = labels_of_model(with_origin(loaded, directory, model, raw_pixels), model)
    pixels = np.asarray(loaded.pixels, "float32")
    images = np.asarray(preprocess(pixels), "float32") if callable(preprocess) else pixels
    names, result = loaded.class_names, None
    drawn = {}
    recorded = gates(model, images)
    if recorded:
        drawn["excitations"] = figures.excitations(recorded, loaded.labels, names)
    if branch_weights(model, images[:1]):
        drawn["kernels"] = figures.kernel_choice(attention_by_scale(model, images), SCALES)
    some = np.linspace(0, len(images) - 1, min(shown, len(images))).astype(int)
    if names is None or loaded.labels is None:
        titles = None
    else:
        titles = [names[loaded.labels[i]] for i in some]
    maps = _last_by_size(spatial_maps(model, images[some]))
    if maps:
        drawn["spatial"] = figures.overlays(pixels[some], maps, titles, "spatial gate")
    if len(model.output_shape) == 2:
        cam = {"Grad-CAM": grad_cam(model, images[some])}
        drawn["grad_cam"] = figures.overlays(pixels[some], cam, titles, "share of the highest")
    if checked.labels is not None and is_classifier(model) and find_gates(model):
        result = sensitivity(model, images, checked.labels)
        drawn["sensitivity"] = figures.sensitivity_bars(result)
    files = _save(drawn, Path(output))
    return Explanation(files, len(images), result, checked.no_labels, checked.unnormalised)


def _last_by_size(maps) -> dict:
    """The last map of each resolution; of the last resolutions if there are many."""
    by_size = {array.shape[1:]: (path, array) for path, array in maps.items()}
    return dict(list(by_size.values())[-MOST_MAPS:])


def _check_output(folder, overwrite):
    paths = [folder / f"{name}.png" for name in FIGURES]
    existing = [str(path) for path in paths if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(f"{', '.join(existing)} exists; pass --overwrite to replace it")


def _save(drawn, folder) -> tuple[str, ...]:
    paths = [folder / f"{name}.png" for name in drawn]
    folder.mkdir(parents=True, exist_ok=True)
    for path, figure in zip(paths, drawn.values(), strict=True):
        with replacing(path) as temporary:
            figure.savefig(temporary)
    return tuple(map(str, paths))
