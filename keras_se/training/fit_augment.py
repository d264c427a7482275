"""The random changes of training pictures, of which every number comes from seed and step."""

import math

import keras
import numpy as np

from .rand_augment import rand_augment
from .settings import FitSettings

WIDEST = 4 / 3  # of the parts of a random resized crop, and the narrowest is one over that
ATTEMPTS = 10


def crop_at_random(pixels, settings: FitSettings, position):
    """A random part of one picture (h, w, 3) as (s, s, 3); `position` in the run decides.

    Szegedy et al., https://arxiv.org/abs/1409.4842, section 6: 8 to 100 % of the area, evenly,
    aspect ratios from 3/4 to 4/3. As torchvision's RandomResizedCrop, which the authors of timm
    and of the presets' papers use, draws it:
    https://github.com/pytorch/vision/blob/main/torchvision/transforms/transforms.py
    """
    import tensorflow as tf

    size = settings.resolved_size
    seed = tf.stack([tf.cast(settings.seed, "int64"), position])
    top, left, height, width = random_part(tf.shape(pixels)[:2], settings.crop_area, seed)
    part = pixels[top : top + height, left : left + width]
    pixels = tf.image.resize(part, (size, size), antialias=True)
    return tf.ensure_shape(pixels, (size, size, 3))


def random_part(shape, least_area: float, seed):
    """Top, left, height and width of a part of a picture of `shape`, all int32.

    Of ten parts that are drawn the first that fits; where none does, as in a panorama, the
    middle of the picture, as much of it as the aspect ratios allow.
    """
    import tensorflow as tf

    sides = tf.cast(shape, "float32")  # height, width
    drawn = tf.random.stateless_uniform((4, ATTEMPTS), seed)
    area = tf.reduce_prod(sides) * (least_area + (1 - least_area) * drawn[0])
    ratio = tf.exp((2 * drawn[1] - 1) * math.log(WIDEST))  # width / height
    extents = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=1)))
    middle = tf.minimum(sides, tf.round(sides[::-1] * WIDEST))
    fits = tf.reduce_all((extents > 0) & (extents <= sides), axis=1)
    choices = tf.concat([tf.boolean_mask(extents, fits), middle[None]], axis=0)
    places = tf.concat([tf.boolean_mask(tf.transpose(drawn[2:]), fits), [[0.5, 0.5]]], axis=0)
    extent = choices[0]
    corner = places[0] * (sides - extent + 1)
    return tf.unstack(tf.cast(tf.concat([corner, extent], axis=0), "int32"))


def shift_and_flip(images, settings: FitSettings, step, part: slice):
    """A part of a step's batch, (b, s, s, 3), each picture shifted and mirrored by chance.

    Keras' RandomCrop crops a whole batch at one place.
    """
    import tensorflow as tf

    size = settings.resolved_size
    most = size // 8 if settings.crop == "padded" else 0  # 4 of 32, He et al., section 4.2
    seed = tf.stack([tf.cast(settings.seed, "int64"), step])
    shape = (3, settings.batch_size)
    drawn = tf.random.stateless_uniform(shape, seed, maxval=2**31, dtype=tf.int64)[:, part, None]
    if most:
        first = drawn[:2] % (2 * most + 1)
        rows, columns = tf.unstack(first + tf.range(size, dtype=tf.int64))
        images = tf.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
        images = tf.gather(images, rows, axis=1, batch_dims=1)
        images = tf.gather(images, columns, axis=2, batch_dims=1)
    if settings.flip:
        mirrored = drawn[2, :, :, None, None] % 2 == 1
        images = tf.where(mirrored, images[:, :, ::-1], images)
    return images


def rand_augment_each(images, settings: FitSettings, step, part: slice):
    """A part of a step's batch, (b, s, s, 3), each picture after operations of its own."""
    import tensorflow as tf

    if not settings.randaugment_ops:
        return images
    strength = settings.randaugment_strength

    def change(images, step):
        positions = step * settings.batch_size + np.arange(part.start, part.stop)
        given = zip(images, positions.tolist(), strict=True)
        return np.stack(
            [
                rand_augment(pixels, settings.randaugment_ops, strength, (settings.seed, position))
                for pixels, position in given
            ]
        )

    whole = tf.cast(tf.round(tf.cast(images, "float32")), "uint8")  # a resized crop has floats
    return tf.ensure_shape(tf.numpy_function(change, [whole, step], tf.uint8), images.shape)


def batch_augmenter(settings: FitSettings):
    """(images, labels, step) -> (images, labels), through Keras' layers, batch by batch."""
    import tensorflow as tf

    strength = settings.color_jitter
    each, mixing = [], []
    if strength:
        each.append(
            keras.layers.RandomColorJitter(
                brightness_factor=strength,
                contrast_factor=strength,
                saturation_factor=(0.5 - strength / 2, 0.5 + strength / 2),
            )
        )
    if settings.mixup:
        mixing.append(keras.layers.MixUp(alpha=settings.mixup))
    if settings.cutmix:
        # Of a single number Keras would draw an alpha between 0 and that.
        mixing.append(keras.layers.CutMix(factor=(settings.cutmix, settings.cutmix)))

    def augment(images, labels, step):
        seeds = _StepSeeds(settings, step)
        for layer in each:
            images = _seeded(layer, seeds)(images, training=True)
        if mixing:
            data = {"images": images, "labels": labels}
            mixed = [_seeded(layer, seeds)(dict(data), training=True) for layer in mixing]
            chosen = step % len(mixed)
            images, labels = (
                tf.stack([one[key] for one in mixed])[chosen] for key in ("images", "labels")
            )
        return images, labels

    return augment


def _seeded(layer, seeds):
    """Let a layer, and those inside, draw from `seeds`; Keras has no argument for that."""
    for one in layer._flatten_layers():
        one._get_seed_generator = lambda backend=None: seeds
    return layer


class _StepSeeds(keras.random.SeedGenerator):
    """The seeds (s, 1), (s, 2), ... of a step, where Keras' own have a state to be kept."""

    def __init__(self, settings: FitSettings, step):
        import tensorflow as tf

        self.tf, self.drawn = tf, 0
        first = tf.random.experimental.stateless_fold_in(
            tf.constant([settings.seed, 0], "int64"), step
        )
        self.first = first[0]

    def next(self, ordered=True):
        self.drawn += 1
        return self.tf.stack([self.first, self.tf.constant(self.drawn, "int64")])
