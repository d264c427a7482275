"""What the values of `FitSettings` may be."""

import os
from collections.abc import Iterable, Mapping

import numpy as np

from ...layers._common import check_count
from .._arguments import check_number, check_positive
from ..precision import POLICIES

CHOICES = {
    "optimizer": ("sgd", "adamw", "lamb"),
    "schedule": ("cosine", "step"),
    "loss": ("crossentropy", "binary"),
    "crop": ("none", "padded", "resized"),
    "precision": POLICIES,
    "jit": ("auto", "on", "off"),
}
TEXTS = ("data", "model", "weights")
SWITCHES = ("nesterov", "flip", "tensorboard", "overwrite")
POSITIVE_INTS = ("image_size", "epochs", "batch_size")
COUNTS = (
    "head_epochs",
    "frozen_epochs",
    "randaugment_ops",
    "checkpoint_steps",
    "seed",
    "devices",
)
NOT_NEGATIVE = ("weight_decay", "clip_norm")
POSITIVE = ("base_learning_rate", "head_learning_rate", "crop_area", "validation_crop")
BELOW_ONE = (
    "label_smoothing",
    "warmup",
    "momentum",
    "ema",
    "color_jitter",
    "randaugment_strength",
    "validation",
)
UP_TO_ONE = ("mixup", "cutmix", "crop_area", "validation_crop")


def plain(name: str, value):
    """A value as settings.toml can hold it: NumPy's numbers as Python's, paths as text.

    Raises:
        ValueError: for text that is none, such as a path whose bytes are no Unicode.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike) and name in TEXTS:
        value = os.fspath(value)
    if name in TEXTS and value is not None:
        if not isinstance(value, str):
            raise ValueError(f"`{name}` must be text. Received: {name}={value!r}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"`{name}` must be Unicode, which settings.toml can hold. Received: {value!a}"
            ) from error
    return value


def check_values(settings) -> None:
    """Raise ValueError for the first value that is out of its range."""
    values = vars(settings)
    for name, valid in CHOICES.items():
        if values[name] not in valid:
            raise ValueError(
                f"`{name}` must be one of {list(valid)}. Received: {name}={values[name]!r}"
            )
    for name in SWITCHES:
        if not isinstance(values[name], bool):
            raise ValueError(f"`{name}` must be true or false. Received: {name}={values[name]!r}")
    for name in POSITIVE_INTS:
        if values[name] is not None:
            check_count(name, values[name])
    for name in COUNTS:
        check_count(name, values[name], minimum=0)
        check_number(name, values[name], 0, 2**31)
    for name in NOT_NEGATIVE:
        check_number(name, values[name], 0)
    for name in POSITIVE:
        check_positive(name, values[name])
    for name in BELOW_ONE:
        check_number(name, values[name], 0, 1)
    for name in UP_TO_ONE:
        check_number(name, values[name], 0, 1, closed=True)
    if not settings.validation:
        raise ValueError("`validation` must be in (0, 1). Received: validation=0")
    if settings.schedule == "step" and settings.warmup:
        raise ValueError(
            f'`schedule="step"` has no warm-up. Received: warmup={settings.warmup}; set it to 0'
        )


def fractions(values) -> tuple[float, ...]:
    """`decay_at`: parts of the run, one after the other."""
    values = tuple(values) if isinstance(values, Iterable) else (values,)
    numbers = all(isinstance(value, int | float) for value in values)
    if not numbers or list(values) != sorted({value for value in values if 0 < value < 1}):
        raise ValueError(
            "`decay_at` must be rising parts of the run in (0, 1), such as (0.5, 0.75). "
            f"Received: decay_at={values}"
        )
    return values


def network_options(values: Mapping) -> dict:
    """`model_options`, which settings.toml must be able to hold."""
    if not isinstance(values, Mapping):
        raise ValueError(
            "`model_options` are the constructor's arguments by name, such as {'depth': 20}. "
            f"Received: model_options={values!r}"
        )
    for name, value in values.items():
        if not isinstance(value, str | int | float | list | tuple):
            raise ValueError(
                "`model_options` take strings, numbers, true, false and lists of them; for other "
                f"networks give `fit` a model. Received: {name}={value!r}"
            )
    return dict(values)
