"""What the tests of `fit` share: pictures, a network, settings, a run that is broken off."""

import keras
import numpy as np
from keras import layers
from PIL import Image

from keras_se.applications import Preprocessing
from keras_se.training import FitSettings

PER_CLASS = 14
RAW = Preprocessing((0, 0, 0), (1, 1, 1))


def write_pictures(folder):
    """Three classes of pictures in their own colour, in train/ and val/."""
    rng = np.random.default_rng(0)
    for part, count in (("train", PER_CLASS), ("val", 7)):
        for label in range(3):
            directory = folder / part / f"class{label}"
            directory.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 175, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 80
                Image.fromarray(pixels).save(directory / f"{number:02d}.png")
    return folder


def network():
    """Everything that has a state: BatchNorm, dropout, an inner layer that is not the last."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=4),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def settings(data, tmp_path, **values):
    given = {"epochs": 3, "batch_size": 10, "image_size": 32, "checkpoint_steps": 3}
    return FitSettings(data, output=tmp_path / "run", **given | values)


class StopAt(keras.callbacks.Callback):
    """Break a run off after so many of its steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def array(variable):
    return keras.ops.convert_to_numpy(variable)


def equal_weights(model, other):
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(array(one), array(two), err_msg=one.path)
