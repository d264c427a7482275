"""Batches as a function of (seed, step): the same after a restart, on any machine."""

import numpy as np

from ...applications import Preprocessing
from .._tensorflow import load_tensorflow
from ..settings import FitSettings
from ..sources import Source
from .augment import batch_augmenter, rand_augment_each
from .crop import shift_and_flip
from .read import BATCHES_AT_ONCE, fits, from_memory, one_by_one, whole_pictures

FOREVER = 2**40  # steps
BATCHES_AHEAD = 2


def training_batches(
    source: Source,
    settings: FitSettings,
    preprocess: Preprocessing,
    *,
    first_step=0,
    rank=0,
    world=1,
):
    """Endless augmented batches from a step on.

    Step t of the run, counted from 0, takes the pictures t B to (t + 1) B - 1 of a sequence in
    which every epoch is a permutation of its own; what is left of an epoch at its end is
    dropped, so that all batches have one shape. Every random number of the pipeline is
    computed from the seed and the number of the picture or of the step; there is no state.

    Args:
        source: the training pictures.
        settings: with `image_size` and `batch_size` resolved.
        preprocess: of the network.
        first_step: int.
        rank, world: this process takes part `rank` of `world` equal parts of each batch.

    Returns:
        A `tf.data.Dataset` of (images (b, s, s, 3), one-hot labels (b, classes)), float32.
    """
    tf = load_tensorflow()

    steps = tf.data.Dataset.range(first_step, FOREVER)
    batch = settings.batch_size // world
    part = slice(batch * rank, batch * (rank + 1))
    kept = settings.crop != "resized" and fits(source, settings)
    batches = (from_memory if kept else one_by_one)(tf, source, settings, steps, part)
    augment = batch_augmenter(settings)

    def finish(step, examples):
        images, labels = examples
        images = shift_and_flip(images, settings, step, part)
        images = tf.cast(rand_augment_each(images, settings, step, part), "float32")
        labels = tf.one_hot(labels, len(source.class_names))
        images, labels = augment(images, labels, step * world + rank)
        return _normalise(tf, tf.clip_by_value(images, 0.0, 255.0), preprocess), labels

    return _ahead(tf, batches.map(finish, BATCHES_AT_ONCE))


def _ahead(tf, batches):
    """The batches, a few of them ready before they are asked for.

    With TensorFlow's autotuning an iterator owns a thread that sleeps up to a minute and is not
    always woken when the iterator is closed, as happens once an epoch: hence fixed numbers.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(BATCHES_AHEAD).with_options(options)


def validation_batches(source: Source, settings: FitSettings, preprocess: Preprocessing):
    """All readable pictures in order, the last batch as small as it comes.

    Returns:
        A `tf.data.Dataset` as of `training_batches`.
    """
    tf = load_tensorflow()

    def finish(pixels, labels):
        pixels = _normalise(tf, tf.cast(pixels, "float32"), preprocess)
        return pixels, tf.one_hot(labels, len(source.class_names))

    numbers = np.arange(len(source))
    readable = whole_pictures(tf, source, settings, numbers).filter(lambda _, label: label >= 0)
    if fits(source, settings):
        readable = readable.cache()
    return _ahead(tf, readable.batch(settings.batch_size).map(finish))


def part_batches(
    source: Source, settings: FitSettings, preprocess: Preprocessing, numbers, batch_size: int
):
    """Validation pictures by number, in batches of one size, which every device can share.

    What cannot be read, what is past the last picture and what fills the last batch is black.

    Returns:
        A `tf.data.Dataset` of images (b, s, s, 3), float32.
    """
    tf = load_tensorflow()
    missing = -len(numbers) % batch_size
    numbers = np.append(numbers, np.full(missing, len(source)))
    pictures = whole_pictures(tf, source, settings, numbers)
    if fits(source, settings):
        pictures = pictures.cache()

    def finish(pixels, _):
        return _normalise(tf, tf.cast(pixels, "float32"), preprocess)

    return _ahead(tf, pictures.batch(batch_size, drop_remainder=True).map(finish))


def _normalise(tf, pixels, preprocess: Preprocessing):
    """`preprocess`, which computes in Keras' backend, in TensorFlow."""
    if preprocess.channel_order == "bgr":
        pixels = tf.reverse(pixels, axis=[-1])
    return (pixels - np.asarray(preprocess.mean, "float32")) / np.asarray(preprocess.std, "float32")
