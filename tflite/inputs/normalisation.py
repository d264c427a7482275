"""Where the normalisation of pixels is: added in front of a model, inside it, or with its user."""

import os
from dataclasses import replace
from typing import Final, Literal

import keras

from ..qat.model import is_quantized, takes_raw_pixels
from .images import Images
from .preprocess import Preprocess

INCLUDED: Final = "included"
RAW_PIXELS = (
    "the pictures reach the model as raw pixels in [0, 255], and no layer in it is known to "
    "normalise them; if it was trained on other values, pass its preprocess (on the command line "
    "--preprocess-tf, --preprocess-caffe, --preprocess-torch)"
)
Normalisation = Preprocess | Literal["included"] | None


def normalisation(model: keras.Model, preprocess: Normalisation) -> tuple[Preprocess | None, bool]:
    """What is to be added in front of a model, and whether it then takes raw pixels.

    Args:
        model: any, or one from `quantize_aware`, which knows by itself.
        preprocess: what to add; "included" for a model that has it inside and takes raw pixels
            in [0, 255], as those of `strip`, `prune` and `cluster` may.

    Raises:
        ValueError: for another word, or where the normalisation would be there twice.
    """
    if is_quantized(model):
        raw_pixels = takes_raw_pixels(model)
        if preprocess is not None and not (raw_pixels and preprocess == INCLUDED):
            raise ValueError(
                "A model from `quantize_aware` was trained with its preprocessing inside: pass "
                f"preprocess to `quantize_aware`. Received: preprocess={preprocess!r}"
            )
        return None, raw_pixels
    if isinstance(preprocess, str):
        if preprocess != INCLUDED:
            raise ValueError(
                f'preprocess is what to add, "{INCLUDED}" or None. Received: {preprocess!r}'
            )
        return None, True
    # The name that `lower` gives it; a second layer of this name would be refused anyway.
    if preprocess is not None and any(
        each.name == "preprocess" for each in getattr(model, "layers", ())
    ):
        raise ValueError(
            f"{model.name!r} has a layer named 'preprocess': for a model that normalises raw "
            f'pixels itself, pass preprocess="{INCLUDED}". Received: preprocess={preprocess!r}'
        )
    return preprocess, preprocess is not None


def with_origin(images: Images, source, model: keras.Model, raw_pixels: bool) -> Images:
    """Images that know whether they are raw pixels for a model that may want others.

    Args:
        images: as they were read.
        source: what they were read from; a directory gives raw pixels.
        model: that takes them.
        raw_pixels: whether it, or what is added in front of it, takes raw pixels.
    """
    raw = isinstance(source, (str, os.PathLike)) and not raw_pixels
    return replace(images, unnormalised=raw and not normalises(model))


def normalises(model: keras.Model) -> bool:
    """Whether a layer of a model, or of one inside it, is known to normalise pixels.

    So do `x / 127.5` and its like, of images and a constant; and a model of bytes has to.

    >>> inputs = keras.Input((8, 8, 3))
    >>> normalises(keras.Model(inputs, inputs / 127.5 - 1)), normalises(keras.Model(inputs, inputs))
    (True, False)
    """
    inner = list(model._flatten_layers(include_self=True))
    kinds = keras.layers.Rescaling, keras.layers.Normalization
    if "int" in model.inputs[0].dtype or any(
        isinstance(layer, kinds) or layer.name == "preprocess" for layer in inner
    ):
        return True
    graphs = [layer for layer in inner if isinstance(layer, keras.Function)]
    channels = model.inputs[0].shape[-1]
    return any(_is_affine(each, channels) for graph in graphs for each in graph.operations)


def _is_affine(operation, channels: int) -> bool:
    """Whether an operation scales or shifts a map of so many channels by a constant."""
    if type(operation).__name__ not in ("Add", "Divide", "Multiply", "Subtract", "TrueDivide"):
        return False
    inputs = operation._inbound_nodes[0].input_tensors
    return len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].shape[-1] == channels
