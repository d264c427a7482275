"""A light augmentation out of Keras' own layers."""

import keras


def light_augmentation(shift: float = 0.08, rotation_degrees: float = 10.0, seed: int = 0):
    """Small random shifts and rotations, without flips: safe for digits, text and signs.

    It belongs in the input pipeline, not in the model, which would carry it into every saved
    and converted file. In a `tf.data` pipeline it runs on every Keras backend.

    Args:
        shift: float in [0, 1], the largest shift as a fraction of height and width.
        rotation_degrees: float >= 0, the largest rotation, either way, in degrees; 10 in the
            SENet authors' recipe (https://github.com/hujie-frank/SENet#augmentation).
        seed: int.

    Returns:
        A `keras.Sequential` to be called on a batch (b, h, w, c) with `training=True`; what
        enters from outside the picture repeats its edge.

    >>> import numpy as np
    >>> batch = np.random.rand(2, 32, 32, 1)
    >>> light_augmentation()(batch, training=True).dtype.name
    'float32'
    """
    return keras.Sequential(
        [
            keras.layers.RandomTranslation(shift, shift, fill_mode="nearest", seed=seed),
            keras.layers.RandomRotation(rotation_degrees / 360, fill_mode="nearest", seed=seed + 1),
        ],
        name="light_augmentation",
    )
