"""What a complete run leaves to look at."""

import json
import warnings
from pathlib import Path

import keras
import numpy as np

from ... import plots
from ...files import replacing
from ..settings import FitSettings
from ..sources import Source
from .folder import CONFUSION, CURVES, RESULTS
from .state import Record


def write_results(
    model: keras.Model,
    labels: np.ndarray,
    predictions: np.ndarray,
    validation: Source,
    record: Record,
    settings: FitSettings,
) -> None:
    """Write results.json, and curves.png and confusion.png where matplotlib is installed."""
    output = settings.output
    names = validation.class_names
    try:
        draw(model.name, labels, predictions, names, record, output)
    except ImportError:  # the figures are an extra
        pass
    matrix = plots.confusion_matrix(labels, predictions, len(names))
    counts = zip(names, np.diag(matrix).tolist(), matrix.sum(axis=1).tolist(), strict=True)
    results = {
        "model": model.name,
        "parameters": model.count_params(),
        "accuracy": float((labels == predictions).mean()),
        "best_accuracy": record.best,
        "pictures": len(labels),
        "class_accuracy": {name: right / shown if shown else None for name, right, shown in counts},
        "confusion": matrix.tolist(),
        "unreadable": record.unreadable,
        "batch_size": settings.batch_size,
        "epochs": len(record.history),
        "steps": record.steps,
        "seconds": sum(row["seconds"] for row in record.history),
        "images_per_second": float(np.median([r["images_per_second"] for r in record.history])),
    }
    with replacing(output / RESULTS) as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n")


def read_results(output: str | Path) -> dict:
    """The results.json of a complete run."""
    return json.loads((Path(output) / RESULTS).read_text())


def predict(model: keras.Model, batches) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes of batches."""
    labels, predictions = [], []
    for images, one_hot in batches.as_numpy_iterator():
        labels.append(one_hot.argmax(axis=1))
        scores = keras.ops.convert_to_numpy(model.predict_on_batch(images))
        predictions.append(scores.argmax(axis=1))
    return np.concatenate(labels), np.concatenate(predictions)


def draw(name, labels, predictions, class_names, record: Record, output: Path) -> None:
    """The two pictures."""
    figures = {
        CURVES: plots.curves(f"Training of {name}", record.history),
        CONFUSION: plots.confusion(
            f"{name} on {len(labels)} validation pictures", labels, predictions, class_names
        ),
    }
    for file, figure in figures.items():
        with replacing(output / file) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # of names in other scripts
            figure.savefig(temporary)
