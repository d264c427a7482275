"""What int8 keeps of gates that are tiny, as usual, or saturated.

Command:  python benchmarks/gates.py [--pictures DIR] [NAME ...]
Machine:  any; the table of docs/guides/conversion.md is from 2 shared x86-64 cores, AMD EPYC
Cost:     2 minutes
Expected: SNR in dB against Keras, on the pictures of the calibration; no row without a reason
          below 30 dB

Random weights, but for `trained` (benchmarks/checkpoints/se_resnet20_cifar10), which wants real
pictures: DIR has one folder per class. A bias of -8 shuts every gate to 0.0003; one of 60 or 300
shuts a quarter of the channels, opens a quarter, and leaves half of them in between.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_se.applications import SEResNetCIFAR
from keras_se.layers import CBAM, SelectiveKernelConv2D, SqueezeExcite
from keras_se.layers.channel_attention import ChannelAttention
from keras_se.tflite import Report, convert, load_images

layers = keras.layers
RECIPES = ("static_int8", "mixed_int8")
CHECKPOINT = Path(__file__).parent / "checkpoints/se_resnet20_cifar10/model.keras"
SIZE, PICTURES = 32, 64


def chain(layer) -> keras.Model:
    """Three blocks without a shortcut, so that nothing makes good what a gate loses."""
    inputs = x = keras.Input((SIZE, SIZE, 3))
    for _ in range(3):
        x = layer()(layers.Conv2D(16, 3, padding="same", activation="relu")(x))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def with_bias(model: keras.Model, bias: float) -> keras.Model:
    """The model with other biases in its gates: all below zero, or spread from -bias to bias."""
    pattern = [bias] if bias <= 0 else [-bias, 0.0, 0.0, bias]
    for layer in model._flatten_layers():
        if isinstance(layer, SqueezeExcite | ChannelAttention):
            layer.expand.bias.assign(np.resize(pattern, layer.expand.bias.shape))
    return model


def mobilenet() -> keras.Model:
    return keras.applications.MobileNetV3Small(
        (SIZE, SIZE, 3), weights=None, classes=10, include_preprocessing=False
    )


def settle(model: keras.Model, pixels) -> None:
    """Give every BatchNorm the statistics of some pictures, as training does."""
    norms = [layer for layer in model._flatten_layers() if hasattr(layer, "moving_variance")]
    for norm in norms:
        norm.momentum = 0.0
    model(pixels, training=True)


NETWORKS = {
    f"{name} {bias:g}": lambda build=build, bias=bias: with_bias(build(), bias)
    for name, build in {
        "SE-ResNet-8": lambda: SEResNetCIFAR(8, weights=None, classes=10),
        "SE chain": lambda: chain(lambda: SqueezeExcite(ratio=4)),
        "CBAM chain": lambda: chain(lambda: CBAM(ratio=4)),
    }.items()
    for bias in (-8.0, 0.0, 60.0, 300.0)
} | {
    "SK chain": lambda: chain(lambda: SelectiveKernelConv2D(16, groups=4)),
    "MobileNetV3Small": mobilenet,
    "trained": lambda: keras.saving.load_model(CHECKPOINT),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NAME", help=f"of {list(NETWORKS)}")
    parser.add_argument("--pictures", metavar="DIR", help="one folder per class; default: noise")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    arguments = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, SIZE, SIZE, 3), "uint8")
    if arguments.pictures:
        found = load_images(arguments.pictures, (SIZE, SIZE, 3), raw_pixels=True).pixels
        pixels = found[:: max(1, len(found) // PICTURES)][:PICTURES]
    for name in arguments.networks or NETWORKS:
        keras.utils.set_random_seed(0)
        model = NETWORKS[name]()
        preprocess = getattr(model, "preprocess", Normalize())
        if name != "trained":
            settle(model, preprocess(pixels))
        cells = []
        for recipe in arguments.recipes:
            report = convert(model, recipe, pixels, preprocess=preprocess).report
            cells.append(f"{recipe} {report.comparison.snr_db:5.1f} dB {why(report)}")
        print(f"{name:<18}", " | ".join(cells), flush=True)


class Normalize:
    """Pixels in [0, 255] to [-1, 1]."""

    mean = std = (127.5,) * 3
    channel_order = "rgb"

    def __call__(self, images):
        return np.asarray(images, "float32") / 127.5 - 1


def why(report: Report) -> str:
    """The first words of each known reason."""
    reasons = [layer.reason.split(",")[0] for layer in report.worst_layers if layer.reason]
    small = [f"{len(report.small_gates)} small gates"] if report.small_gates else []
    spread = ["no layer stands out"] if report.spread_loss else []
    return "; ".join(small + sorted(set(reasons)) + spread)


if __name__ == "__main__":
    main()
