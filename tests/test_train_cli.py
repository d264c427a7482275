"""`keras-se train` as a user meets it: one command, killed, and the same command again."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.cli import main
from keras_se.cli._command import make_parser
from keras_se.cli._train_flags import FLAGS, given_values
from keras_se.cli.train import COMMAND as TRAIN
from keras_se.training import FitSettings, fit, make_settings
from keras_se.training.run.state import load_record
from keras_se.training.settings.checks import CHOICES

COMMAND = [sys.executable, "-m", "keras_se", "train"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for label in range(2):
        directory = folder / f"class{label}"
        directory.mkdir()
        for number in range(20):
            pixels = rng.integers(0, 175, (32, 32, 3), dtype=np.uint8)
            pixels[..., label] += 80
            Image.fromarray(pixels).save(directory / f"{number:02d}.png")
    return folder


@pytest.fixture
def toml(data, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(
        f'data = "{data}"\nbatch_size = 8\nepochs = 10\nvalidation = 0.2\nema = 0.9\n'
        "frozen_epochs = 3\ncheckpoint_steps = 3\nmodel_options = {depth = 8}\n"
    )
    return file


def steps_done(output):
    return load_record(output / "state.npz").steps if (output / "state.npz").exists() else 0


def test_killed_and_started_again_it_ends_with_the_same_weights(toml, tmp_path, capfd):
    output = tmp_path / "killed"
    command = [*COMMAND, "--settings", str(toml), "--output", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while steps_done(output) < 9 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert main(command[3:]) == 2
    assert f"now (process {process.pid} on" in capfd.readouterr().err
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert 9 <= steps_done(output) < 40 and not (output / "last.keras").exists()
    resumed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0 and resumed.stderr == "", resumed.stderr
    assert "Epoch 10/10" in resumed.stdout and "Epoch 1/10" not in resumed.stdout
    assert "validation pictures after 10 epochs" in resumed.stdout
    whole = fit(make_settings(file=toml, output=tmp_path / "whole"))
    saved = keras.saving.load_model(output / "last.keras")
    for one, other in zip(saved.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    assert not (output / ".lock").exists()
    results = json.loads((output / "results.json").read_text())
    assert results["steps"] == 40 and results["epochs"] == 10


def test_the_flags_are_the_settings():
    defaults = {field.name: field.default for field in dataclasses.fields(FitSettings)}
    own = {name: default for name, _, default, _ in FLAGS}
    assert own == {name: defaults[name] for name in own} | {"data": ""}
    assert own.keys() == defaults.keys() - {"model_options", "verbose"}
    given = {name: kind for name, kind, *_ in FLAGS if isinstance(kind, tuple)}
    assert given == CHOICES


def test_what_a_command_line_gives():
    words = "train --weights none --no-flip --decay-at 0.5 0.75 -o there --model-option depth=8"
    given = given_values(make_parser((TRAIN,), "0").parse_args(words.split()))
    assert given.pop("output").name == "there"
    assert given == {
        "weights": None,
        "flip": False,
        "decay_at": [0.5, 0.75],
        "model_options": {"depth": 8},
    }
    made = make_settings("finetune", data="x", **given, schedule="step", warmup=0.0)
    assert made.weights is None


def test_results_for_a_script(data, tmp_path, call):
    words = ("--data", data, "--epochs", 1, "--batch-size", 18, "--image-size", 32)
    words += ("--model-option", "depth=8", "-o", tmp_path / "run")
    status, printed, errors = call("train", *words, "--json")
    assert (status, errors) == (0, "")
    results = json.loads(printed)
    assert results["epochs"] == 1 and results["output"] == str(tmp_path / "run")
    status, printed, errors = call("train", *words, "--quiet")
    assert (status, errors) == (0, "")
    assert "SEResNetCIFAR"[:2].lower() in printed and "Epoch" not in printed


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "needs --data"),
        (["--data", "nowhere"], "no such folder"),
        (["--data", "x", "--preset", "cifar100"], "Unknown preset"),
        (["--data", "x", "--model-option", "depth"], "NAME=VALUE"),
        (["--settings", "nowhere.toml"], "No such file"),
    ],
)
def test_errors_are_one_line(arguments, message, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line
