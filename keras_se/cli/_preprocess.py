"""Where raw pixels, which folders of pictures give, are normalised."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from ..tflite.inputs.normalisation import Normalisation

# Where raw pixels are normalised -> the flag that says so, and its help.
PREPROCESS = {
    "carried": (
        "--preprocess",
        "raw pixels in [0, 255] go through the model's own normalisation (model.preprocess), which "
        "a file that is written takes over; the default where the model carries one",
    ),
    "included": (
        "--preprocess-included",
        "the model normalises raw pixels itself, as those of tflite.strip, prune and cluster do; a "
        "file that is written takes them as they are stored",
    ),
    "tf": (
        "--preprocess-tf",
        "pixels are scaled to [-1, 1], as keras.applications does for MobileNet, MobileNetV2, "
        "Inception, Xception, ResNetV2 and NASNet",
    ),
    "caffe": (
        "--preprocess-caffe",
        "ImageNet's mean is subtracted from blue, green and red in this order, as "
        "keras.applications does for ResNet and VGG",
    ),
    "torch": (
        "--preprocess-torch",
        "ImageNet's mean is subtracted, and its deviation divided by, as keras.applications does "
        "for DenseNet",
    ),
    "none": ("--no-preprocess", "pixels reach the model, and a file, unchanged"),
}


def add_preprocess_argument(parser: argparse.ArgumentParser) -> None:
    """Let the user say where raw pixels, which a folder of pictures gives, are normalised."""
    group = parser.add_mutually_exclusive_group()
    for where, (flag, text) in PREPROCESS.items():
        group.add_argument(
            flag, dest="preprocess", action="store_const", const=where, default=None, help=text
        )


def preprocess_of(model: "keras.Model", where: str | None) -> "Normalisation":
    """The normalisation as `keras_se.tflite` takes it.

    Args:
        model: any.
        where: one of `PREPROCESS`; None is "carried" where the model carries one, else "none".

    Raises:
        ValueError: for "carried" and a model that carries none.
    """
    from ..applications.preprocessing import MODES
    from ..tflite import Preprocess
    from ..tflite.inputs.normalisation import INCLUDED

    if where in MODES:
        return MODES[where].for_channels(model.inputs[0].shape[-1])
    if where == INCLUDED:
        return INCLUDED
    preprocess = getattr(model, "preprocess", None)
    if not isinstance(preprocess, Preprocess):
        preprocess = None
    if where == "carried" and preprocess is None:
        raise ValueError(f"--preprocess: the model {model.name!r} carries no `preprocess`")
    return None if where == "none" else preprocess
