"""Converts a member of every family with every recipe, and writes docs/matrix.md.

python docs/generate_matrix.py [NETWORK ...]

Measures what the page lacks, each cell kept as soon as it is known, so that it resumes where it
was interrupted; named rows are measured anew.
"""

import argparse
import os
import time
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_se import applications
from keras_se.files import write_whole
from keras_se.layers import ResidualTail
from keras_se.tflite import RECIPES, Report, convert
from keras_se.tflite.report.collect import machine

PAGE = Path(__file__).with_name("matrix.md")
IMAGES = 8


@dataclass(frozen=True)
class Network:
    """A row: the smallest member of a family that has this attention, at a small input."""

    constructor: str
    size: int  # pixels
    depth: int | None = None
    residual: float = 1.0  # gamma of the BatchNorm before each addition

    @property
    def name(self) -> str:
        return self.constructor if self.depth is None else f"{self.constructor}({self.depth})"

    def build(self) -> keras.Model:
        """Random weights, with BatchNorm's statistics half initial, half from pictures."""
        keras.utils.set_random_seed(0)
        depth = () if self.depth is None else (self.depth,)
        shape = (self.size, self.size, 3)
        constructor = getattr(applications, self.constructor)
        model = constructor(*depth, weights=None, classes=10, input_shape=shape)
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.5  # a channel without variance keeps half of its 1
            if isinstance(layer, ResidualTail):
                layer.norm.gamma.assign(self.residual * layer.norm.gamma)
        model(model.preprocess(pictures(self.size)), training=True)
        return model


NETWORKS = {
    network.name: network
    for network in (
        Network("SEResNetCIFAR", 32, depth=8),
        Network("SEMobileNet", 32),
        Network("SEResNet18", 32),
        Network("CBAMResNet18", 32),
        Network("SKResNet18", 32),
        Network("SEBNInception", 64),
        Network("SEResNeXt26", 32),
        Network("SEInceptionV3", 75),
        Network("SEVGG16BN", 32),
        Network("SEInceptionResNetV2", 75),
        Network("SENet154", 32, residual=0.2),
    )
}

# What a file must keep, in dB over the images that calibrated it; 80 dB is an error of 1e-4.
# A file below its bound must say why.
MIN_SNR_DB = {
    "float32": 80,
    "float16": 40,
    "dynamic_int8": 20,
    "static_int8": 20,
    "mixed_int8": 20,
    "static_int16x8": 30,
}

INTRODUCTION = f"""\
# Every family with every recipe

The signal-to-noise ratio (SNR) of the logits in dB, for one network of every family and every
recipe of the conversion. The networks have random weights, and BatchNorm statistics of which half
comes from pictures; each file was run in LiteRT on {IMAGES} pictures beside the Keras model. The
bound of each recipe is in the first line; 80 dB is a relative error of 1e-4. A file below its
bound must name the cause in its report. Random weights are harder than trained ones, because the
classes differ by little. Seconds are those of the six conversions with their reports, while the
machine had other work. `docs/generate_matrix.py` makes this page, and `make test-matrix` checks
it.

`static_int16x8` is limited by its int8 kernels: rounding the kernels alone, in Keras, costs as
much (`tests/test_matrix.py`; SEResNet18 35.5 dB both ways).

In SENet154 the residual branches are scaled by 0.2 (the gamma of the BatchNorm before each
addition): at 1, its 50 untrained blocks magnify a change of the picture by 21, and int8 keeps 10
dB.

"""


def pictures(size: int) -> np.ndarray:
    """Random coloured patches, (images, size, size, 3), pixels in [0, 255]."""
    patches = np.random.default_rng(0).integers(0, 256, (IMAGES, 5, 5, 3))
    big = np.asarray(keras.ops.image.resize(patches.astype("float32"), (size, size)))
    return np.clip(np.round(big), 0, 255).astype("uint8")


def measure(network: Network, recipe: str, model: keras.Model | None = None) -> Report:
    """Convert, and compare with Keras."""
    model = network.build() if model is None else model
    images = pictures(network.size)
    return convert(model, recipe, images, preprocess=model.preprocess).report


def problem(recipe: str, report: Report) -> str | None:
    """What a file below its bound leaves unsaid; None when all is well."""
    snr = report.comparison.snr_db
    if snr >= MIN_SNR_DB[recipe] or reasons(report):
        return None
    return f"{recipe}: {snr:.1f} dB, bound {MIN_SNR_DB[recipe]} dB, and no reason in the report"


def reasons(report: Report) -> list[str]:
    """Why a file loses more than it should, as its report says."""
    gates = ["small gate"] * bool(report.small_gates)
    layers = [layer.reason for layer in report.worst_layers if layer.reason]
    return gates + layers + ([report.spread_loss] if report.spread_loss else [])


def cell(recipe: str, report: Report) -> str:
    """The SNR, with the reason where it is below the bound."""
    snr = report.comparison.snr_db
    text = f"{snr:.0f}"
    return text if snr >= MIN_SNR_DB[recipe] else f"{text} ({reasons(report)[0].split(':')[0]})"


def page(rows: dict[str, list[str]]) -> str:
    """The whole page, in Markdown; `rows` as from `rows_of`."""
    bounds = [f"{recipe} (>= {MIN_SNR_DB[recipe]})" for recipe in RECIPES]
    head = [["network", "input", *bounds, "seconds"], ["---", *["---:"] * (len(bounds) + 2)]]
    table = [*head, *([name, *rows[name]] for name in NETWORKS if name in rows)]
    made = (
        f"\nTensorFlow {version('tensorflow')}, Keras {version('keras')}, "
        f"ai-edge-litert {version('ai-edge-litert')}; {machine()}; {date.today()}.\n"
    )
    missing = [name for name in NETWORKS if unmeasured(rows.get(name, []))]
    note = f"\nNot measured yet: {', '.join(missing)}.\n" if missing else ""
    return INTRODUCTION + "\n".join(f"| {' | '.join(row)} |" for row in table) + "\n" + note + made


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells that a page has, by the network's name: input, SNR by recipe, seconds."""
    rows = (row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| "))
    width = len(RECIPES) + 3
    return {name: cells for name, *cells in rows if name in NETWORKS and len(cells) + 1 == width}


def unmeasured(cells: list[str]) -> list[str]:
    """The recipes whose cell is missing, or whose file was below its bound without a reason."""
    values = dict(zip(RECIPES, cells[1:-1], strict=False))
    return [recipe for recipe in RECIPES if values.get(recipe, "-") in ("-", "?")]


def measure_row(network: Network, rows: dict[str, list[str]]) -> list[str]:
    """Fill in what the network's row lacks, and keep each cell; returns the problems."""
    cells = rows.setdefault(network.name, [str(network.size), *["-"] * len(RECIPES), "0"])
    problems, model = [], network.build()
    for recipe in unmeasured(cells):
        start = time.perf_counter()
        report = measure(network, recipe, model)
        wrong = problem(recipe, report)
        problems += [f"{network.name}, {wrong}"] if wrong else []
        cells[1 + list(RECIPES).index(recipe)] = "?" if wrong else cell(recipe, report)
        cells[-1] = str(round(float(cells[-1]) + time.perf_counter() - start))
        write_whole(PAGE, page(rows).encode())
    print(network.name, *cells, flush=True)
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "networks", nargs="*", help=f"of {list(NETWORKS)}; default: what is missing"
    )
    rows = rows_of(PAGE.read_text()) if PAGE.exists() else {}
    asked = parser.parse_args().networks
    unknown = [name for name in asked if name not in NETWORKS]
    if unknown:
        parser.error(f"Unknown network; expected some of {list(NETWORKS)}. Received: {unknown}")
    for name in asked:
        rows.pop(name, None)
    problems = []
    for name, network in NETWORKS.items():
        if unmeasured(rows.get(name, [])) and (name in asked or not asked):
            problems += measure_row(network, rows)
            keras.backend.clear_session()
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
