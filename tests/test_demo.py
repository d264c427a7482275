"""The demo as a user runs it."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import demo, tflite

COLOURS = {"red": (220, 40, 40), "green": (40, 220, 40), "blue": (40, 40, 220)}
FILES = {"model.keras", "model_int8.tflite", "report.png", "results.json"}


def run_demo(*arguments):
    command = [sys.executable, "-m", "keras_se", "demo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A demo on three classes of six pictures: (what it printed, its output folder)."""
    root = tmp_path_factory.mktemp("demo")
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / "pictures" / name).mkdir(parents=True)
        for index in range(6):
            pixels = np.clip(colour + random.normal(0, 40, (40, 36, 3)), 0, 255)
            Image.fromarray(pixels.astype("uint8")).save(root / "pictures" / name / f"{index}.png")
    output = root / "new" / "output"
    process = run_demo(
        *("--data", root / "pictures", "--output", output, "--image-size", 32, "--epochs", 12)
    )
    assert process.returncode == 0 and process.stderr == "", process.stderr
    return process.stdout, output


def test_files(run):
    _, output = run
    assert {path.name for path in output.iterdir()} == FILES


def test_results(run):
    results = json.loads((run[1] / "results.json").read_text())
    for name in ("float", "int8"):
        row = results[name]
        assert 0 <= row["accuracy"] <= 1 and 0 <= row["agreement"] <= 1
        assert row["snr_db"] > 15 and row["size_bytes"] > 1000 and row["latency_ms"] > 0
    assert results["int8"]["size_bytes"] == (run[1] / "model_int8.tflite").stat().st_size
    assert results["pictures"] == {
        "training": 15,
        "held_out": 3,
        "shape": [32, 32, 3],
        "classes": sorted(COLOURS),
    }
    assert results["settings"]["seed"] == 0 and results["settings"]["epochs"] == 12
    assert {"keras", "tensorflow", "keras-se"} <= set(results["versions"])
    assert 0 < results["seconds"]["training"] < results["seconds"]["total"]


def test_one_table_is_printed(run):
    results = json.loads((run[1] / "results.json").read_text())
    for name in ("float", "int8"):
        (line,) = (line for line in run[0].splitlines() if line.startswith(f"│ {name}"))
        assert f"{results[name]['size_bytes']:,}" in line
        assert f"{results[name]['accuracy']:.4f}" in line
    assert "Epoch" not in run[0]  # no progress where stdout is no terminal


def test_the_saved_models_are_the_measured_ones(run):
    model = keras.saving.load_model(run[1] / "model.keras")
    flat = np.full((1, 32, 32, 3), COLOURS["green"], "uint8")
    keras_class = int(np.argmax(model.predict(model.preprocess(flat), verbose=0)))
    runner = tflite.Runner(run[1] / "model_int8.tflite")
    assert runner.inputs[0].dtype == "uint8"
    assert int(runner(flat[0])[0].argmax()) == keras_class


def test_the_picture_is_not_blank(run):
    with Image.open(run[1] / "report.png") as picture:
        assert picture.size == (1600, 1000)
        assert len(picture.convert("RGB").getcolors(maxcolors=2**24)) > 100


def test_an_earlier_run_is_not_mixed_with_or_lost(tmp_path):
    (tmp_path / "notes.txt").write_text("of the user")
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"results\.json.*--overwrite"):
        demo._prepare(demo.Settings(tmp_path))
    assert (tmp_path / "results.json").read_text() == "{}"
    demo._prepare(demo.Settings(tmp_path, overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("name", "value"), [("image_size", 31), ("epochs", 0), ("seed", -1), ("seed", 2**32)]
)
def test_bad_settings(tmp_path, name, value):
    with pytest.raises(ValueError, match=rf"Received: {name}={value}"):
        demo.Settings(tmp_path, **{name: value})


def test_a_depth_that_is_none_costs_no_earlier_run(tmp_path):
    for name in ("data/a/1.png", "data/a/2.png", "data/b/1.png", "data/b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / name)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(ValueError, match="depth=9"):
        demo.run(demo.Settings(tmp_path, tmp_path / "data", depth=9, overwrite=True))
    assert (tmp_path / "results.json").read_text() == "{}"
    with pytest.raises(ValueError, match="must not lie within the folder of pictures"):
        demo.run(demo.Settings(tmp_path / "data" / "output", tmp_path / "data"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_digits(tmp_path, seed):
    process = run_demo("--output", tmp_path, "--seed", seed)
    assert process.returncode == 0, process.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["pictures"]["held_out"] == 359
    assert results["float"]["accuracy"] >= 0.97
    assert abs(results["float"]["accuracy"] - results["int8"]["accuracy"]) <= 0.01
    assert results["seconds"]["total"] < 180
