"""What the other examples share: pictures, and a small network trained on them."""

import argparse
import math
from pathlib import Path

import keras

from keras_se.applications import ImageModel, SEResNetCIFAR
from keras_se.training import Pictures, compile_for_training, load_digits, pictures_from_directory

BATCH_SIZE = 64


def parse_arguments(description: str, output: str) -> argparse.Namespace:
    """The options of an example that looks at a trained network."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", help="pictures, one folder per class (default: digits)")
    parser.add_argument("--model", help="a trained .keras file of keras_se (default: trains one)")
    parser.add_argument("--size", type=int, default=32, help="of the pictures, without --model")
    parser.add_argument("--epochs", type=int, default=10, help="of training, without --model")
    parser.add_argument("--limit", type=int, default=200, help="look at so many pictures")
    parser.add_argument("--output", type=Path, default=Path(output))
    return parser.parse_args()


def load_pictures(directory: str | None, size) -> Pictures:
    """A folder with one folder per class; or handwritten digits, which need no download."""
    if directory is None:
        return load_digits(size, channels=3)
    return pictures_from_directory(directory, size)


def train(pictures: Pictures, epochs: int) -> ImageModel:
    """Train a small SE-ResNet from random weights."""
    keras.utils.set_random_seed(0)
    shape, classes = pictures.images.shape[1:], len(pictures.class_names)
    model = SEResNetCIFAR(8, weights=None, input_shape=shape, classes=classes)
    compile_for_training(
        model,
        steps_per_epoch=math.ceil(len(pictures) / BATCH_SIZE),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        base_learning_rate=0.4,  # 0.1 for a batch of 64
    )
    images = model.preprocess(pictures.images)
    model.fit(images, pictures.labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=2)
    return model
