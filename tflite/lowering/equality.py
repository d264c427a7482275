"""The check that a rebuilt model computes what the original does."""

import keras
import numpy as np

from ..qat.model import QuantizedModel
from .logits import drop_final_activation

TOLERANCE = 1e-5
# A network may magnify the rounding of its input further than `TOLERANCE` allows (a BatchNorm
# of a small variance does). It then reproduces itself no better, and is measured by that.
_ROUNDINGS = 4
_LARGEST_TOLERANCE = 1e-3
_PATCHES, _NOISE = 5, 0.2


def check_equal(model, lowered, preprocess, tolerance: float) -> None:
    """Run both on an image; `lowered` must reproduce `model`.

    Scores are compared as logits: a softmax hides differences, or magnifies them.
    """
    name, layers = model.name, model.layers
    model, lowered = _without_softmax(model, lowered)
    image = expected = _patches(lowered.inputs[0].shape[1:])
    if preprocess is not None or "int" in model.inputs[0].dtype:
        image = expected = np.clip(np.round(64 * image + 128), 0, 255)
    if preprocess is not None:
        expected = np.asarray(preprocess(image), "float32")
    reference = _run(model, expected)
    result = _run(lowered, image)
    if reference.shape != result.shape:
        raise RuntimeError(
            f"Lowering changed the output's shape from {reference.shape} to {result.shape}"
        )
    error, magnitude = np.abs(reference - result).max(), np.abs(reference).max()
    if error > tolerance * magnitude:
        rounding = _rounding_error(model, expected, reference) / magnitude
        tolerance = max(tolerance, min(_ROUNDINGS * rounding, _LARGEST_TOLERANCE))
        if not error <= tolerance * magnitude and rounding > _LARGEST_TOLERANCE:
            raise RuntimeError(
                f"Lowering {name!r} changed its output by {error:.3g}, and the last bit of its "
                f"input changes it by {rounding:.1%} of {magnitude:.3g}: nothing can be compared. "
                "So behave deep networks that were never trained."
            )
    if not error <= tolerance * magnitude:  # also when the error is NaN
        raise RuntimeError(
            f"Lowering {name!r} changed its output by {error:.3g}, with the largest output "
            f"being {magnitude:.3g} (allowed: {tolerance:g} of it). A layer whose `call` depends "
            "on more than its config and its weights, or is random at inference, cannot be "
            f"rebuilt; or preprocess differs from its own mean and std. Layers: "
            f"{sorted({type(layer).__name__ for layer in layers})}"
        )


def _patches(shape) -> np.ndarray:
    """Coloured patches with some noise, (1, *shape), mean 0 and variance 1.

    Nearer to a picture than noise alone, which the deepest networks magnify without bound.
    """
    random = np.random.default_rng(0)
    image = random.normal(size=(_PATCHES,) * (len(shape) - 1) + shape[-1:])
    for axis, size in enumerate(shape[:-1]):
        image = np.take(image, np.arange(size) * _PATCHES // size, axis)
    noise = random.normal(size=shape)
    return (np.sqrt(1 - _NOISE**2) * image + _NOISE * noise).astype("float32")[None]


def _without_softmax(*models):
    """All of them without their final activation, or none."""
    plain = all(isinstance(m, keras.Function) for m in models)
    if not plain or any(isinstance(m, QuantizedModel) for m in models):
        return models
    bare = [drop_final_activation(model) for model in models]
    return models if None in bare else bare


def _rounding_error(model, image, reference) -> float:
    """The largest change of the output when the last bit of every input value changes."""
    up_or_down = np.random.default_rng(0).choice([-np.inf, np.inf], image.shape)
    return np.abs(reference - _run(model, np.nextafter(image, up_or_down, dtype="float32"))).max()


def _run(model, image) -> np.ndarray:
    """The output for one image, whatever batch size the model was built with."""
    batch = model.inputs[0].shape[0] or 1
    outputs = model(np.repeat(image, batch, axis=0), training=False)
    return keras.ops.convert_to_numpy(keras.tree.flatten(outputs)[0])[:1].astype("float64")
