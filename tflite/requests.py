"""What `convert` is asked for, checked before any work is done."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from .bounds import Bounds
from .inputs.images import Images
from .inputs.source import class_names_of
from .metadata import check_classifier
from .passes import Lowering
from .recipe import Recipe

_NOISE_IMAGES = 8


def that_take(io: str, recipes: list[Recipe]) -> list[Recipe]:
    """The recipes whose files may have inputs and outputs of this dtype."""
    taking = [recipe for recipe in recipes if io in recipe.ios]
    if not taking:
        raise ValueError(
            f"Recipe {recipes[0].name!r} takes io of {list(recipes[0].ios)}. Received: io={io!r}"
        )
    return taking


def check_classes(bounds: Bounds, classes: int | None, model: keras.Model) -> None:
    """Raise if a bound needs classes that the model does not have."""
    for name in ("min_agreement", "max_accuracy_drop"):
        value = getattr(bounds, name)
        if value is not None and classes is None:
            raise ValueError(
                f"{name} needs an output of one row of classes. "
                f"Received: {name}={value}, output {model.outputs[0].shape}"
            )


def check_lowering(lowering: Lowering | None) -> Lowering:
    """The `Lowering` that is asked for; the default one for None."""
    if lowering is not None and not isinstance(lowering, Lowering):
        raise TypeError(f"lowering is a tflite.Lowering. Received: lowering={lowering!r}")
    return lowering or Lowering()


def check_quantized_options(recipe: str | Recipe, lowering: Lowering | None) -> None:
    """Raise for options that a quantization-aware model decides itself."""
    if getattr(recipe, "name", recipe) != "static_int8":
        raise ValueError(
            "A model from `quantize_aware` converts with recipe 'static_int8'; `strip` gives "
            f"the plain model for the others. Received: recipe={recipe!r}"
        )
    if lowering is not None and replace(lowering, groups="auto") != Lowering():
        raise ValueError(
            "A model from `quantize_aware` keeps the form that it was trained in, but for the "
            "groups of its convolutions: Lowering(groups=...). `strip` gives the plain model, "
            "which converts with any lowering, and calibration anew. "
            f"Received: lowering={lowering!r}"
        )


def labels_for(
    labels: Sequence[str] | None,
    model: keras.Model,
    shape: tuple[int, int, int],
    raw_pixels: bool,
    io: str | None,
) -> Sequence[str] | None:
    """The labels of a file: those that were given, or what the model calls its classes.

    Raises:
        TypeError, ValueError: where an app's image classifier could not use a file with those
            that were given. What the model brings is then left out.
    """
    if labels is None:
        names = class_names_of(model)
        try:
            return names and labels_for(names, model, shape, raw_pixels, io)
        except ValueError:
            return None
    if not raw_pixels:
        raise ValueError(
            "labels make a file that apps feed raw pixels: pass preprocess=. For a model that "
            "needs none, or with mean= and std= for the app to apply, convert without labels "
            "and call keras_se.tflite.add_metadata"
        )
    outputs = model.outputs[0].shape[1:]
    dtype = io or "uint8"  # the default of a recipe is this or float32, which apps feed too
    check_classifier((1, *shape), dtype, (1, *outputs), dtype, labels)
    return labels


def noise(shape: tuple[int, int, int], raw_pixels: bool) -> Images:
    """Images to compare on where the caller gave none."""
    random = np.random.default_rng(0)
    size = (_NOISE_IMAGES, *shape)
    if raw_pixels:
        return Images(random.integers(0, 256, size, "uint8"))
    return Images(random.normal(size=size).astype("float32"))
