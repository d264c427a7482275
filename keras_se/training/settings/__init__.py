"""What a training run does: `FitSettings`, and the presets, files and flags that they come from."""

from .fit_settings import FitSettings
from .make import make_settings, to_toml
from .presets import PRESETS

__all__ = ["PRESETS", "FitSettings", "make_settings", "to_toml"]
