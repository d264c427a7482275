"""The steps of the demo: pictures, training, conversion, measurement, figure."""

import math
from pathlib import Path

import numpy as np

from .. import tflite
from ..applications import ImageModel, SEResNetCIFAR
from ..explain import gates
from ..files import replacing
from ..picture_folders import check_outside
from ..training import (
    Pictures,
    compile_for_training,
    load_digits,
    pictures_from_directory,
)
from .figure import report
from .results import LATENCY_RUNS
from .settings import Settings

STEPS = 230  # of training, unless the epochs are given: 10 epochs of the digits
ROWS = {"float": "float32", "int8": "static_int8"}  # of the table: name and recipe
CALIBRATION_IMAGES = 200
MAX_DATA_BYTES = 2**30  # of pixels as uint8; training holds four times as much


def load_pictures(settings: Settings) -> Pictures:
    """The digits, or the user's own pictures."""
    if settings.data is None:
        return load_digits(settings.image_size or 32)
    check_outside(settings.output, settings.data)
    return pictures_from_directory(
        settings.data, settings.image_size or 64, max_size_bytes=MAX_DATA_BYTES
    )


def build(kept: Pictures, settings: Settings) -> ImageModel:
    """An SE-ResNet with random weights, which knows what its classes are called."""
    model = SEResNetCIFAR(
        settings.depth, input_shape=kept.images.shape[1:], classes=len(kept.class_names)
    )
    model.class_names = kept.class_names
    return model


def train(
    model: ImageModel, kept: Pictures, held_out: Pictures, settings: Settings, verbose=0
) -> None:
    """Train the model; the held-out pictures are only reported on."""
    batch_size = batch_size_for(len(kept))
    steps_per_epoch = math.ceil(len(kept) / batch_size)
    epochs = settings.epochs or min(60, math.ceil(STEPS / steps_per_epoch))
    compile_for_training(
        model,
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        batch_size=batch_size,
        base_learning_rate=0.4,  # 0.1 for a batch of 64
        jit_compile=settings.jit or "auto",
        precision=settings.precision,
    )
    model.fit(
        model.preprocess(kept.images),
        kept.labels,
        validation_data=(model.preprocess(held_out.images), held_out.labels),
        batch_size=batch_size,
        epochs=epochs,
        verbose=verbose,
    )


def batch_size_for(pictures: int) -> int:
    """Pictures in a step: 64, less where an epoch would have fewer than 16 steps, at least 8.

    >>> [batch_size_for(n) for n in (10, 300, 1438)]
    [8, 18, 64]
    """
    return min(64, max(8, pictures // 16))


def convert(model: ImageModel, kept: Pictures, seed: int) -> dict[str, tflite.Result]:
    """The model as "float" and as "int8"; calibrated on some of the training pictures."""
    order = np.random.default_rng(seed).permutation(len(kept))
    calibration = kept.images[order[:CALIBRATION_IMAGES]]
    return {
        name: tflite.convert(model, recipe, calibration, preprocess=model.preprocess)
        for name, recipe in ROWS.items()
    }


def compare(model: ImageModel, file: tflite.Result, held_out: Pictures) -> tflite.Comparison:
    return tflite.compare(
        model,
        file.model,
        held_out.images,
        held_out.labels,
        preprocess=model.preprocess,
        runs=LATENCY_RUNS,
    )


def draw(model: ImageModel, files: dict[str, tflite.Result], held_out: Pictures, path: Path):
    figure = report(
        f"{model.name} on {len(held_out)} held-out pictures",
        held_out.labels,
        {f"{name} file": _predict(file.model, held_out.images) for name, file in files.items()},
        held_out.class_names,
        list(gates(model, model.preprocess(held_out.images)).values()),
    )
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _predict(file: bytes, images: np.ndarray) -> np.ndarray:
    """Classes that a file gives to raw pixels: (n,)."""
    runner = tflite.Runner(file)
    return np.array([runner(image)[0].argmax() for image in images])
