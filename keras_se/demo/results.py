"""What results.json holds besides the comparison: the row of the table, the circumstances."""

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import tflite
from .._version import __version__
from ..training import Pictures
from .settings import Settings

LATENCY_RUNS = 100


def row(file: tflite.Result, comparison: tflite.Comparison) -> dict:
    """One row of the table."""
    figures = comparison.to_dict()
    return {
        "recipe": file.recipe.name,
        "accuracy": figures["file_accuracy"],
        **{name: figures[name] for name in ("agreement", "snr_db", "size_bytes", "latency_ms")},
    }


def circumstances(model, kept: Pictures, held_out: Pictures, settings: Settings) -> dict:
    """What the figures were measured on, and with."""
    libraries = ("keras", "tensorflow", "ai-edge-litert", "numpy")
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
            "keras-se": __version__,
            **{library: _version(library) for library in libraries},
        },
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
    }


def _version(library: str) -> str | None:
    """None where it is installed under another name, as tensorflow-cpu is."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def seconds(clock: dict[str, float]) -> dict[str, float]:
    """What each part took, of the moments between them."""
    return {
        "training": round(clock["trained"] - clock["read"], 1),
        "conversion": round(clock["converted"] - clock["trained"], 1),
        "total": round(clock["end"] - clock["start"], 1),
    }
