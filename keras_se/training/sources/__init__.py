"""Labelled pictures by number, wherever they lie; `load_sources` finds those of a run."""

from .load import load_sources
from .source import Source

__all__ = ["Source", "load_sources"]
