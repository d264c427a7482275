"""Colours, RandAugment and mixtures of pictures: drawn from seed and step."""

import keras
import numpy as np

from ..settings import FitSettings
from .rand_augment import rand_augment


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
