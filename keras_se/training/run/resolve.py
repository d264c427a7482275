"""What the settings of a run leave open: sizes, epochs, the network."""

import importlib.util
import inspect
import math
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from ...applications import registry
from ...names import expected
from ..settings import FitSettings
from ..sources import Source

STEPS = 2500  # of a run whose epochs are not given
_SET = ("weights", "input_shape", "input_tensor", "include_top", "classes", "classifier_activation")
SMALL = 64  # pixels; networks up to here take the size of the pictures


def check_installed(settings: FitSettings) -> None:
    """Raise before the work starts if what a callback needs at its first step is not there."""
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            'Event files need TensorBoard: pip install "keras-se[tensorboard]", or leave '
            "tensorboard=True (--tensorboard) out; log.csv is written always"
        )


def resolve(settings: FitSettings, training: Source, model=None, replicas=1) -> FitSettings:
    """Fill in what depends on the pictures and the network.

    Raises:
        ValueError: if a batch cannot be shared equally by so many devices; for settings that
            several devices of TensorFlow cannot train with.
    """
    size = settings.image_size or _size(settings, training, model)
    batch = min(settings.batch_size, len(training))
    if batch < settings.batch_size:
        batch -= batch % replicas
    if batch == 0 or batch % replicas:
        raise ValueError(
            f"`batch_size` must be a multiple of {replicas}, the number of devices, and there "
            "must be so many pictures. "
            f"Received: batch_size={settings.batch_size} for {len(training)} pictures"
        )
    if replicas > 1 and keras.backend.backend() == "tensorflow":
        _check_mirrored(settings)
    steps = len(training) // batch
    shortest = settings.head_epochs + settings.frozen_epochs + 1
    epochs = settings.epochs or max(shortest, min(60, max(15, math.ceil(STEPS / steps))))
    return replace(settings, image_size=size, batch_size=batch, epochs=epochs)


def _check_mirrored(settings: FitSettings) -> None:
    """Raise for what TensorFlow does otherwise, or not at all, on several devices."""
    reasons = {
        "jit": "XLA cannot compile its step" if settings.jit == "on" else "",
        "clip_norm": "Keras clips each one's gradients" if settings.clip_norm else "",
    }
    for name, reason in reasons.items():
        if reason:
            raise ValueError(
                f"Several devices of TensorFlow do not train with `{name}`: {reason}. Train on "
                f"JAX (KERAS_BACKEND=jax). Received: {name}={getattr(settings, name)!r}"
            )


def _size(settings: FitSettings, training: Source, model) -> int:
    if model is None and settings.model.endswith(".keras"):
        model = _load(settings.model)
    own = _input_size(model) if model else _constructor(settings.model).spec.size
    if model or own > SMALL:
        return own
    some = np.linspace(0, len(training) - 1, min(32, len(training)), dtype=int)
    sides = [min(training.read_or_next(int(number))[0].shape[:2]) for number in some]
    return int(np.clip(np.median(sides), 32, SMALL))


def _input_size(model) -> int:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] is None:
        raise ValueError(
            "The network needs one input of a fixed size, (batch, height, width, 3). "
            f"Received: {model.name!r} with {shape}"
        )
    return shape[1]


def build(settings: FitSettings, classes: int) -> keras.Model:
    """The network that the settings name."""
    if settings.model.endswith(".keras"):
        if settings.model_options:
            raise ValueError(
                "`model_options` are of a network by name; a .keras file is as it is. "
                f"Received: model={settings.model!r}, model_options={settings.model_options}"
            )
        return _load(settings.model)
    constructor = _constructor(settings.model)
    valid = [name for name in inspect.signature(constructor).parameters if name not in _SET]
    for name in settings.model_options:
        if name not in valid:
            raise ValueError(
                f"Unknown option {name!r} of {settings.model}; {expected(name, valid)}"
            )
    return constructor(
        weights=settings.weights,
        input_shape=(settings.image_size, settings.image_size, 3),
        classes=classes,
        classifier_activation=None if settings.loss == "binary" else "softmax",
        **settings.model_options,
    )


def _load(path: str) -> keras.Model:
    if not Path(path).is_file():
        raise ValueError(f"There is no such file. Received: model={path!r}")
    return keras.saving.load_model(path, compile=False)


def _constructor(name: str):
    if name not in registry.MODELS:
        raise ValueError(
            f"Unknown model {name!r}; {expected(name, registry.MODELS, registry.LISTED_BY)}. "
            "Expected: a network's name or a .keras file"
        )
    return registry.MODELS[name]
