"""Training: the papers' recipe in one call, and everything else ordinary `model.fit`."""

from . import distributed
from .augmentation import light_augmentation
from .callbacks import FreezeBatchNorm
from .compile import compile_for_training
from .digits import load_digits
from .fit_callbacks import NotFiniteError
from .loss import SmoothedBinaryCrossentropy, SmoothedCrossentropy
from .optimizer import L2SGD, warmup_cosine
from .pictures import Pictures, pictures_from_directory, split
from .precision import set_precision
from .presets import PRESETS
from .run import fit
from .settings import FitSettings
from .settings_file import make_settings

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
