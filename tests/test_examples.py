"""The examples as a newcomer runs them, with few pictures and steps."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import tflite
from keras_se.applications import SEResNetCIFAR
from keras_se.layers import SqueezeExcite

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.slow  # each starts a process of its own; `make test-examples`


def run(name, *arguments):
    """What an example prints."""
    process = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(EXAMPLES.parent)},
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A user's folder: two colours, twelve pictures each, of sizes of their own."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for name, colour in {"red": (220, 40, 40), "blue": (40, 40, 220)}.items():
        (folder / name).mkdir()
        for index in range(12):
            pixels = np.clip(colour + random.normal(0, 40, (40, 36 + index, 3)), 0, 255)
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{index}.png")
    return folder


def test_fine_tune_on_digits(tmp_path):
    printed = run("fine_tune.py", "--tiny", "--output", tmp_path)
    assert re.search(r"accuracy: \d+\.\d% of 10 pictures", printed)
    tuned = {path.name for path in (tmp_path / "tuned").iterdir()}
    assert {"best.keras", "results.json", "curves.png", "confusion.png"} <= tuned
    before, after = (
        keras.saving.load_model(tmp_path / run / "last.keras", compile=False)
        for run in ("pretrained", "tuned")
    )
    kernels = [model.get_layer("stem_conv").kernel.numpy() for model in (before, after)]
    assert 0 < np.abs(kernels[1] - kernels[0]).max() < 0.05  # it began where the other ended


def test_fine_tune_on_a_folder(tmp_path, pictures):
    model = SEResNetCIFAR(20, weights=None, input_shape=(32, 32, 3), classes=2)
    model.save_weights(tmp_path / "trained.weights.h5")
    network = ("--model", "SEResNetCIFAR", "--weights", tmp_path / "trained.weights.h5")
    printed = run("fine_tune.py", "--tiny", "--data", pictures, *network, "--output", tmp_path)
    assert re.search(r"accuracy: \d+\.\d% of 2 pictures", printed)
    results = json.loads((tmp_path / "tuned" / "results.json").read_text())
    assert set(results["class_accuracy"]) == {"blue", "red"} and results["epochs"] == 3


def test_insert_se(tmp_path):
    arguments = ("--alpha", 0.35, "--epochs", 1, "--limit", 32, "--output", tmp_path)
    printed = run("insert_se.py", *arguments)
    [(count, difference)] = re.findall(r"(\d+) gates inserted; .* outputs: (\S+)", printed)
    assert int(count) == 17 and float(difference) <= 1e-6
    [moved] = re.findall(r"gates are up to (\S+) away from 1", printed)
    assert 0 < float(moved) < 1
    model = keras.saving.load_model(tmp_path / "gated.keras")
    assert sum(isinstance(layer, SqueezeExcite) for layer in model.layers) == 17
    inspection = tflite.inspect(tmp_path / "gated.tflite")
    assert inspection.inputs[0].dtype == "uint8" and not inspection.float_tensors


def test_explain_gates(tmp_path, pictures):
    printed = run("explain_gates.py", "--data", pictures, "--epochs", 1, "--output", tmp_path)
    assert len(re.findall(r"stage\d_block1_tail/gate +mean 0\.\d+", printed)) == 3
    assert "gates at their mean" in printed
    for name in ("excitations", "grad_cam", "sensitivity"):
        with Image.open(tmp_path / f"{name}.png") as figure:
            assert len(figure.convert("RGB").getcolors(maxcolors=2**24)) > 50


def test_quantize_names_pictures_of_the_user(tmp_path, pictures):
    """From a folder to a file that another example runs without Keras."""
    printed = run("quantize.py", "--data", pictures, "--epochs", 12, "--output", tmp_path)
    rows = re.findall(r"^(\w+) +([\d,]+) +([\d.]+)% +([\d.]+)% +([\d.]+) ", printed, re.M)
    assert [row[0] for row in rows] == ["float32", "float16", "dynamic_int8", "static_int8"]
    file = tmp_path / "model_int8.tflite"
    assert rows[-1][1] == f"{file.stat().st_size:,}" and "blue, red" in printed
    answer = run("label_image.py", file, pictures / "red" / "3.png", "--top", 1)
    assert answer.split()[1] == "red"


def test_train_distributed():
    arguments = ("--cpus", 2, "--epochs", 1, "--limit", 64, "--batch-size", 32)
    printed = run("train_distributed.py", *arguments)
    assert "2 devices: CPU:0, CPU:1" in printed
    assert "the 2 copies of the weights are equal" in printed
