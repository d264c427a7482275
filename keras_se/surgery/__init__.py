"""Attention put into, changed in and taken out of functional Keras models."""

from .insert import insert

__all__ = ["insert"]
