"""Where the normalisation of pixels is: added in front of a model, inside it, or with its user."""

from typing import Literal

import keras

from .preprocess import Preprocess
from .qat.quantize import is_quantized, takes_raw_pixels

INCLUDED = "included"
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
