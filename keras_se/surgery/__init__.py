"""Attention put into, changed in and taken out of functional Keras models."""

from .identity import STARTS
from .insert import insert
from .presets import PRESETS
from .prune import prune_gates
from .prune_report import GateFinding, PruneReport
from .remove import remove
from .replace import replace

__all__ = [
    "PRESETS",
    "STARTS",
    "GateFinding",
    "PruneReport",
    "insert",
    "prune_gates",
    "remove",
    "replace",
]
