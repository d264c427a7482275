"""Put SE behind the depthwise convolutions of MobileNetV2, train it, convert it to int8.

    python examples/insert_se.py --data pictures/ --weights imagenet --size 224
    python examples/insert_se.py                     # random weights and digits: no download

The gates start as the identity: the new network computes what the old one did, so that
pretrained accuracy is where the training starts from. --output gets gated.keras and
gated.tflite, which takes raw pixels.
"""

import argparse
import math
from pathlib import Path

import keras
import numpy as np
from small_network import load_pictures

import keras_se
from keras_se import tflite
from keras_se.applications import Preprocessing
from keras_se.training import compile_for_training, split

BATCH_SIZE = 32
preprocess = Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3)  # MobileNetV2's: [-1, 1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Insert SE into MobileNetV2.")
    parser.add_argument("--data", help="pictures, one folder per class (default: digits)")
    parser.add_argument("--size", type=int, default=32, help="of the pictures, in pixels")
    parser.add_argument("--weights", help="imagenet, for a width of 1 (default: random)")
    parser.add_argument("--alpha", type=float, default=1.0, help="width of the network")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=10_000, help="train on so many pictures")
    parser.add_argument("--output", type=Path, default=Path("insert-se-output"))
    options = parser.parse_args()
    keras.utils.set_random_seed(0)

    pictures = load_pictures(options.data, options.size)
    training, validation = split(pictures)
    some = slice(None, None, max(1, len(training) // options.limit))  # sorted by class
    images, labels = preprocess(training.images[some]), training.labels[some]

    backbone = keras.applications.MobileNetV2(
        (options.size, options.size, 3),
        alpha=options.alpha,
        weights=options.weights,
        include_top=False,
        pooling="avg",
    )
    scores = keras.layers.Dense(len(pictures.class_names), "softmax", name="predictions")
    model = keras.Model(backbone.input, scores(backbone.output), name="mobilenetv2")

    gated = keras_se.insert(model, "se", after="depthwise")
    gates = [layer for layer in gated.layers if isinstance(layer, keras_se.layers.SqueezeExcite)]
    difference = np.abs(predict(gated, images[:8]) - predict(model, images[:8])).max()
    print(f"{len(gates)} gates inserted; largest difference of the outputs: {difference:.1e}")

    steps = math.ceil(len(images) / BATCH_SIZE)
    compile_for_training(gated, steps_per_epoch=steps, epochs=options.epochs, batch_size=BATCH_SIZE)
    gated.fit(images, labels, batch_size=BATCH_SIZE, epochs=options.epochs, verbose=2)
    values = keras_se.explain.gates(gated, images[:64])
    moved = max(np.abs(gate.values - 1).max() for gate in values.values())
    print(f"after training the gates are up to {moved:.1e} away from 1")

    options.output.mkdir(parents=True, exist_ok=True)
    gated.save(options.output / "gated.keras")
    loaded = keras.saving.load_model(options.output / "gated.keras")
    file = tflite.convert(
        loaded, "static_int8", training.images[some][:200], preprocess=preprocess, logits=True
    )
    file.save(options.output / "gated.tflite", overwrite=True)
    held_out = validation.images, validation.labels
    print(tflite.compare(loaded, file.model, *held_out, preprocess=preprocess))


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return model.predict(images, verbose=0)


if __name__ == "__main__":
    main()
