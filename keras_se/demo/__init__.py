"""From pictures to a checked int8 file: train, convert, run, measure, draw.

The pictures are scikit-learn's 1,797 handwritten digits, or the user's own.
"""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import keras

from .. import plots
from ..files import replacing
from ..training import split
from .results import circumstances, row, seconds
from .settings import Settings
from .steps import build, compare, convert, draw, load_pictures, train

MODEL, INT8, RESULTS, REPORT = "model.keras", "model_int8.tflite", "results.json", "report.png"
HELD_OUT = 0.2  # of every class

Working = Callable[[str], AbstractContextManager]


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
    model = build(kept, settings)  # refuses a depth, before the files of an earlier run go
    _prepare(settings)
    clock["read"] = time.perf_counter()
    train(model, kept, held_out, settings, verbose)
    with replacing(settings.output / MODEL) as path:
        model.save(path)
    clock["trained"] = time.perf_counter()
    with working("converting to int8"):
        files = convert(model, kept, settings.seed)
        files["int8"].save(settings.output / INT8, overwrite=settings.overwrite)
    clock["converted"] = time.perf_counter()
    with working("running both files on the held-out pictures"):
        comparisons = {name: compare(model, file, held_out) for name, file in files.items()}
    with working("drawing the report"):
        draw(model, files, held_out, settings.output / REPORT)
    clock["end"] = time.perf_counter()
    results = {
        **{name: row(files[name], comparison) for name, comparison in comparisons.items()},
        "keras": {"accuracy": comparisons["float"].float_accuracy},
        **circumstances(model, kept, held_out, settings),
        "seconds": seconds(clock),
    }
    with replacing(settings.output / RESULTS) as path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    return results


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


__all__ = ["Settings", "run"]
