"""Training: the papers' recipe in one call, and everything else ordinary `model.fit`."""

from . import distributed
from .augmentation import light_augmentation
from .callbacks import FreezeBatchNorm
from .compile import compile_for_training
from .digits import load_digits
from .loss import SmoothedBinaryCrossentropy, SmoothedCrossentropy
from .optimizer import L2SGD, warmup_cosine
from .pictures import Pictures, pictures_from_directory, split
from .precision import set_precision
from .run import NotFiniteError, fit
from .settings import PRESETS, FitSettings, make_settings

__all__ = [
    "L2SGD",
    "PRESETS",
    "FitSettings",
    "FreezeBatchNorm",
    "NotFiniteError",
    "Pictures",
    "SmoothedBinaryCrossentropy",
    "SmoothedCrossentropy",
    "compile_for_training",
    "distributed",
    "fit",
    "light_augmentation",
    "load_digits",
    "make_settings",
    "pictures_from_directory",
    "set_precision",
    "split",
    "warmup_cosine",
]
