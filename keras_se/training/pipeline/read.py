"""Pictures of a source as uint8, in the order of their numbers: kept, or read every time."""

import functools
import os
import threading

import numpy as np

from ...applications import resize_and_crop
from ..settings import FitSettings
from ..sources import Source
from .crop import crop_at_random
from .order import numbers_at

KEPT_BYTES = 2**30  # of pictures that are read once and stay in memory
PICTURES_AT_ONCE = os.cpu_count() or 1
BATCHES_AT_ONCE = min(4, PICTURES_AT_ONCE)  # a batch may have hundreds of MiB


def fits(source: Source, settings: FitSettings) -> bool:
    """Whether all pictures, of the network's size, may stay in memory."""
    return 3 * settings.resolved_size**2 * len(source) <= KEPT_BYTES


def from_memory(tf, source: Source, settings: FitSettings, steps, part: slice):
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


def one_by_one(tf, source: Source, settings: FitSettings, steps, part: slice):
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


def whole_pictures(tf, source: Source, settings: FitSettings, numbers):
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
