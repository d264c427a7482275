"""All networks of keras.applications: which presets fit, and the same function after `insert`."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_se
from keras_se.surgery import PRESETS

DOCS = Path(__file__).parents[1] / "docs"
spec = importlib.util.spec_from_file_location("generate_surgery", DOCS / "generate_surgery.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)
ROWS = [line for line in (DOCS / "surgery.md").read_text().splitlines() if line.startswith("| ")]


def test_the_page_is_current_and_lists_every_network():
    page = (DOCS / "surgery.md").read_text()
    assert page.startswith(generate.introduction()), "run `python docs/generate_surgery.py`"
    for name in generate.networks():
        assert f"| {name} | " in page
    assert generate.row("MobileNetV2") in ROWS and generate.row("ResNet50") in ROWS


@pytest.mark.slow
@pytest.mark.parametrize("name", generate.networks())
def test_identity(name):
    model = generate.build(name)
    assert generate.row(name) in ROWS
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("moving_variance", "moving_mean", "beta"):
            weight.assign(weight + rng.uniform(0, 0.3, weight.shape))
    images = rng.normal(size=(1, *model.input_shape[1:])).astype("float32")
    expected = np.asarray(model(images, training=False))
    for preset in PRESETS:
        if not generate.count(model, preset):
            continue
        gated = keras_se.insert(model, "se", after=preset)
        error = np.abs(np.asarray(gated(images, training=False)) - expected).max()
        assert error <= 1e-6 * max(1, np.abs(expected).max()), (preset, error)
        del gated
        keras.backend.clear_session()
