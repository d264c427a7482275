"""From pictures to a checked int8 file: train, convert, run, measure, draw.

The pictures are scikit-learn's 1,797 handwritten digits, or the user's own.
"""

import json
import math
import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from . import plots, tflite
from .applications import ImageModel, SEResNetCIFAR
from .explain import gates
from .files import replacing
from .training import (
    Pictures,
    compile_for_training,
    load_digits,
    pictures_from_directory,
    split,
)

MODEL, INT8, RESULTS, REPORT = "model.keras", "model_int8.tflite", "results.json", "report.png"
HELD_OUT = 0.2  # of every class
STEPS = 230  # of training, unless the epochs are given: 10 epochs of the digits
ROWS = {"float": "float32", "int8": "static_int8"}  # of the table: name and recipe
CALIBRATION_IMAGES = 200
LATENCY_RUNS = 100
MAX_DATA_BYTES = 2**30  # of pixels as uint8; training holds four times as much

Working = Callable[[str], AbstractContextManager]


@dataclass(frozen=True)
class Settings:
    """What the demo does.

    Attributes:
        output: folder for the four files; made if missing.
        data: folder of pictures, one folder per class; None takes the digits.
        image_size: height and width in pixels; None means 32 for the digits, 64 for `data`.
        depth: number of weighted layers of the SE-ResNet, 6 n + 2.
        epochs: epochs of training; None means as many as make about 230 steps, at most 60.
        seed: of the split, the weights and the order of the pictures.
        jit: compile with XLA on every device; False leaves it to Keras, "auto".
        overwrite: replace the files of an earlier run.

    Raises:
        ValueError: if a number is out of its range.
    """

    output: Path
    data: Path | None = None
    image_size: int | None = None
    depth: int = 8
    epochs: int | None = None
    seed: int = 0
    jit: bool = False
    overwrite: bool = False

    def __post_init__(self):
        if self.image_size is not None and self.image_size < 32:
            raise ValueError(
                f"`image_size` must be at least 32. Received: image_size={self.image_size}"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"`epochs` must be at least 1. Received: epochs={self.epochs}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`seed` must be in [0, 2**32). Received: seed={self.seed}")


def run(settings: Settings, working: Working = lambda part: nullcontext(), verbose=0) -> dict:
    """Run the demo and write its four files.

    Seeds Python's, NumPy's and Keras' random numbers, for the whole process.

    Args:
        settings: what to do.
        working: called with the name of each part, except the training; a context manager
            that surrounds it, such as a spinner.
        verbose: Keras' progress in `model.fit`, 0, 1 or 2.

    Returns:
        What results.json holds: "float" is the model as a float32 .tflite file and "int8" as
        a static_int8 one, both run in the LiteRT interpreter on the held-out pictures and
        compared with the Keras model.

    Raises:
        FileExistsError: if there are files of an earlier run and `overwrite` is False.
        ImportError: if scikit-learn or matplotlib is not installed.
        RuntimeError: on a Keras backend other than TensorFlow, before the training.
        ValueError: for pictures that cannot be used.
    """
    clock = {"start": time.perf_counter()}
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "The demo converts its model, which needs Keras on TensorFlow: set "
            f"KERAS_BACKEND=tensorflow. Received: backend {keras.backend.backend()!r}"
        )
    plots.check_matplotlib()
    keras.utils.set_random_seed(settings.seed)
    with working("reading the pictures"):
        kept, held_out = split(load_pictures(settings), HELD_OUT, settings.seed)
    _prepare(settings)
    clock["read"] = time.perf_counter()
    model = train(kept, held_out, settings, verbose)
    with replacing(settings.output / MODEL) as path:
        model.save(path)
    clock["trained"] = time.perf_counter()
    with working("converting to int8"):
        files = convert(model, kept, settings.seed)
        files["int8"].save(settings.output / INT8, overwrite=settings.overwrite)
    clock["converted"] = time.perf_counter()
    with working("running both files on the held-out pictures"):
        comparisons = {name: _compare(model, file, held_out) for name, file in files.items()}
    with working("drawing the report"):
        _draw(model, files, held_out, settings.output / REPORT)
    clock["end"] = time.perf_counter()
    results = {
        **{name: _row(files[name], comparison) for name, comparison in comparisons.items()},
        "keras": {"accuracy": comparisons["float"].float_accuracy},
        **_circumstances(model, kept, held_out, settings),
        "seconds": _seconds(clock),
    }
    with replacing(settings.output / RESULTS) as path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    return results


def load_pictures(settings: Settings) -> Pictures:
    """The digits, or the user's own pictures."""
    if settings.data is None:
        return load_digits(settings.image_size or 32)
    return pictures_from_directory(
        settings.data, settings.image_size or 64, max_size_bytes=MAX_DATA_BYTES
    )


def train(kept: Pictures, held_out: Pictures, settings: Settings, verbose=0) -> ImageModel:
    """Train an SE-ResNet from random weights; the held-out pictures are only reported on."""
    model = SEResNetCIFAR(
        settings.depth, input_shape=kept.images.shape[1:], classes=len(kept.class_names)
    )
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
    )
    model.fit(
        model.preprocess(kept.images),
        kept.labels,
        validation_data=(model.preprocess(held_out.images), held_out.labels),
        batch_size=batch_size,
        epochs=epochs,
        verbose=verbose,
    )
    return model


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


def _prepare(settings: Settings) -> None:
    """Make the output folder, without files of an earlier run: two runs are never mixed."""
    settings.output.mkdir(parents=True, exist_ok=True)
    paths = [settings.output / name for name in (MODEL, INT8, RESULTS, REPORT)]
    present = [path for path in paths if path.exists()]
    if present and not settings.overwrite:
        raise FileExistsError(
            f"{str(settings.output)!r} holds {present[0].name!r} of an earlier run; choose "
            "another output folder, or replace its files with --overwrite (overwrite=True)"
        )
    for path in present:
        path.unlink()


def _compare(model: ImageModel, file: tflite.Result, held_out: Pictures) -> tflite.Comparison:
    return tflite.compare(
        model,
        file.model,
        held_out.images,
        held_out.labels,
        preprocess=model.preprocess,
        runs=LATENCY_RUNS,
    )


def _draw(model: ImageModel, files: dict[str, tflite.Result], held_out: Pictures, path: Path):
    figure = plots.report(
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


def _row(file: tflite.Result, comparison: tflite.Comparison) -> dict:
    """One row of the table."""
    figures = comparison.to_dict()
    return {
        "recipe": file.recipe.name,
        "accuracy": figures["file_accuracy"],
        **{name: figures[name] for name in ("agreement", "snr_db", "size_bytes", "latency_ms")},
    }


def _circumstances(model, kept: Pictures, held_out: Pictures, settings: Settings) -> dict:
    """What the figures were measured on, and with."""
    libraries = ("keras-se", "keras", "tensorflow", "ai-edge-litert", "numpy")
    return {
        "model": {"name": model.name, "parameters": model.count_params()},
        "pictures": {
            "training": len(kept),
            "held_out": len(held_out),
            "shape": list(kept.images.shape[1:]),
            "classes": list(kept.class_names),
        },
        "latency": {"runs": LATENCY_RUNS, "threads": 1, "statistic": "median"},
        "settings": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(settings).items()
        },
        "versions": {
            "python": platform.python_version(),
            **{library: version(library) for library in libraries},
        },
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
    }


def _seconds(clock: dict[str, float]) -> dict[str, float]:
    return {
        "training": round(clock["trained"] - clock["read"], 1),
        "conversion": round(clock["converted"] - clock["trained"], 1),
        "total": round(clock["end"] - clock["start"], 1),
    }
