"""Attention put into, changed in and taken out of functional Keras models."""

from .identity import STARTS
from .insert import insert
from .places import PRESETS

__all__ = ["PRESETS", "STARTS", "insert"]
