"""Batches as a function of (seed, step): the same after a restart, on any machine.

TensorFlow is imported here, as the data pipeline of every Keras backend.
"""

import contextlib
import functools
import os
import threading

import keras
import numpy as np

from ..applications import Preprocessing, resize_and_crop
from .fit_augment import batch_augmenter, crop_at_random, shift_and_flip
from .fit_order import numbers_at
from .settings import FitSettings
from .sources import Source

FOREVER = 2**40  # steps
KEPT_BYTES = 2**30  # of pictures that are read once and stay in memory
PICTURES_AT_ONCE = os.cpu_count() or 1
BATCHES_AT_ONCE = min(4, PICTURES_AT_ONCE)  # a batch may have hundreds of MiB
BATCHES_AHEAD = 2


def _tensorflow():
    """TensorFlow; where it is not Keras' backend, without the GPUs, whose memory it would take."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # the caller has used TensorFlow's GPUs already
            tf.config.set_visible_devices([], "GPU")
    return tf


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
    tf = _tensorflow()

    steps = tf.data.Dataset.range(first_step, FOREVER)
    batch = settings.batch_size // world
    part = slice(batch * rank, batch * (rank + 1))
    kept = settings.crop != "resized" and _fits(source, settings)
    batches = (_from_memory if kept else _one_by_one)(tf, source, settings, steps, part)
    augment = batch_augmenter(settings)

    def finish(step, examples):
        images, labels = examples
        images = tf.cast(shift_and_flip(images, settings, step, part), "float32")
        labels = tf.one_hot(labels, len(source.class_names))
        images, labels = augment(images, labels, step * world + rank)
        return _normalise(tf, tf.clip_by_value(images, 0.0, 255.0), preprocess), labels

    return _ahead(tf, batches.map(finish, BATCHES_AT_ONCE))


def _from_memory(tf, source: Source, settings: FitSettings, steps, part: slice):
    """Numbered batches (b, s, s, 3) of pictures that are read once."""
    size, batch = settings.resolved_size, part.stop - part.start

    def read(number):
        picture, number = source.read_or_next(number)
        return resize_and_crop_once(picture, size), np.int64(source.labels[number])

    kept = kept_by_number(read, len(source))

    def read_all(numbers):
        pictures, labels = zip(*map(kept, numbers.tolist()), strict=True)
        return np.stack(pictures), np.stack(labels)

    def of_step(step):
        numbers = numbers_at(step, len(source), settings)[part]
        images, labels = tf.numpy_function(read_all, [numbers], (tf.uint8, tf.int64))
        images = tf.ensure_shape(images, (batch, size, size, 3))
        return step, (images, tf.ensure_shape(labels, (batch,)))

    return steps.map(of_step, BATCHES_AT_ONCE)


def kept_by_number(read, count: int):
    """`read(number)` for 0 to count - 1, called once each; threads wait for one another's call."""
    reading = [threading.Lock() for _ in range(count)]
    kept = functools.cache(read)

    def read_once(number: int):
        with reading[number]:
            return kept(number)

    return read_once


def _one_by_one(tf, source: Source, settings: FitSettings, steps, part: slice):
    """Numbered batches (b, s, s, 3) of pictures that are read, and perhaps cropped, every time."""
    cropped = settings.crop == "resized"

    def read(number):
        picture, number = source.read_or_next(int(number))
        if not cropped:
            picture = resize_and_crop_once(picture, settings.resolved_size)
        return picture, np.int64(source.labels[number])

    def of_step(step):
        positions = step * settings.batch_size + tf.range(settings.batch_size, dtype=tf.int64)
        return positions[part], numbers_at(step, len(source), settings)[part]

    def picture(position, number):
        pixels, label = tf.numpy_function(read, [number], (tf.uint8, tf.int64))
        pixels, label = tf.ensure_shape(pixels, (None, None, 3)), tf.ensure_shape(label, ())
        return crop_at_random(pixels, settings, position) if cropped else pixels, label

    pictures = steps.map(of_step).unbatch().map(picture, PICTURES_AT_ONCE)
    batches = pictures.batch(part.stop - part.start, drop_remainder=True)
    return tf.data.Dataset.zip((steps, batches))


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
    tf = _tensorflow()

    def finish(pixels, labels):
        pixels = _normalise(tf, tf.cast(pixels, "float32"), preprocess)
        return pixels, tf.one_hot(labels, len(source.class_names))

    numbers = np.arange(len(source))
    readable = _whole_pictures(tf, source, settings, numbers).filter(lambda _, label: label >= 0)
    if _fits(source, settings):
        readable = readable.cache()
    return _ahead(tf, readable.batch(settings.batch_size).map(finish))


def _fits(source: Source, settings: FitSettings) -> bool:
    """Whether all pictures, of the network's size, may stay in memory."""
    return 3 * settings.resolved_size**2 * len(source) <= KEPT_BYTES


def part_batches(
    source: Source, settings: FitSettings, preprocess: Preprocessing, numbers, batch_size: int
):
    """Validation pictures by number, in batches of one size, which every device can share.

    What cannot be read, what is past the last picture and what fills the last batch is black.

    Returns:
        A `tf.data.Dataset` of images (b, s, s, 3), float32.
    """
    tf = _tensorflow()
    missing = -len(numbers) % batch_size
    numbers = np.append(numbers, np.full(missing, len(source)))
    pictures = _whole_pictures(tf, source, settings, numbers)
    batches = pictures.batch(batch_size, drop_remainder=True)
    return _ahead(
        tf,
        batches.map(lambda pixels, _: _normalise(tf, tf.cast(pixels, "float32"), preprocess)),
    )


def _whole_pictures(tf, source: Source, settings: FitSettings, numbers):
    """(uint8 pixels, label) of every number; black and -1 where there is no such picture."""
    size = settings.resolved_size

    def read(number):
        picture = source.read_or_note(int(number)) if number < len(source) else None
        if picture is None:
            return np.zeros((size, size, 3), np.uint8), np.int64(-1)
        pixels = resize_and_crop_once(picture, size, settings.validation_crop)
        return pixels, np.int64(source.labels[number])

    def picture(number):
        pixels, label = tf.numpy_function(read, [number], (tf.uint8, tf.int64))
        return tf.ensure_shape(pixels, (size, size, 3)), tf.ensure_shape(label, ())

    return tf.data.Dataset.from_tensor_slices(numbers).map(picture, PICTURES_AT_ONCE)


def resize_and_crop_once(picture: np.ndarray, size: int, crop: float = 1.0) -> np.ndarray:
    """`resize_and_crop` of an array; one that has the size already is left as it is."""
    if crop == 1 and picture.shape[:2] == (size, size):
        return picture
    from PIL import Image

    return resize_and_crop(Image.fromarray(picture), size, crop)


def _normalise(tf, pixels, preprocess: Preprocessing):
    """`preprocess`, which computes in Keras' backend, in TensorFlow."""
    if preprocess.channel_order == "bgr":
        pixels = tf.reverse(pixels, axis=[-1])
    return (pixels - np.asarray(preprocess.mean, "float32")) / np.asarray(preprocess.std, "float32")
