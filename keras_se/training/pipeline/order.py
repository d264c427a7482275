"""Which pictures a step takes: a function of the seed and the step alone."""

import math

import numpy as np

from ..settings import FitSettings
from ..sources import Source

_ROUNDS = 16  # of the cipher that shuffles


def steps_per_epoch(pictures: int, settings: FitSettings) -> int:
    """Whole batches of an epoch."""
    return pictures // settings.batch_size


def numbers_at(step, pictures: int, settings: FitSettings):
    """The numbers of the pictures in a step of the run, (batch_size,) int64; `step` a tensor."""
    import tensorflow as tf

    in_epoch = steps_per_epoch(pictures, settings)
    epoch, step = step // in_epoch, step % in_epoch
    places = step * settings.batch_size + tf.range(settings.batch_size, dtype=tf.int64)
    seed = tf.stack([tf.cast(settings.seed, "int64"), epoch])
    key = tf.random.stateless_uniform((3,), seed, minval=None, maxval=None, dtype=tf.uint32)
    # The 4 rounds of tf.random.experimental.index_shuffle keep near pictures near, epoch by epoch.
    return tf.raw_ops.RandomIndexShuffle(
        index=places, seed=key, max_index=tf.constant(pictures - 1, "int64"), rounds=_ROUNDS
    )


def numbers_of_step(source: Source, settings: FitSettings, step: int) -> list[int]:
    """The numbers of the pictures in a step, before any was skipped."""
    return numbers_at(np.int64(step), len(source), settings).numpy().tolist()


def numbers_of_part(pictures: int, rank: int, world: int) -> np.ndarray:
    """The numbers of one of `world` equally long parts; some may be past the last picture.

    >>> numbers_of_part(5, rank=1, world=2).tolist()
    [1, 3, 5]
    """
    return np.arange(rank, math.ceil(pictures / world) * world, world)
