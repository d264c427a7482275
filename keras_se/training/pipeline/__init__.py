"""Batches of a run: their order, the pictures read, cropped and changed, at any step."""

from .batches import part_batches, training_batches, validation_batches

__all__ = ["part_batches", "training_batches", "validation_batches"]
