"""The command line as a user meets it: what it prints, and its status.

The main paths are processes of their own. An import of Keras takes seconds; what differs in
its arguments alone calls `main` in this one.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import cli, tflite
from keras_se.applications import SEResNetCIFAR, list_models
from keras_se.cli import train

COMMAND = [sys.executable, "-m", "keras_se"]
NAMES = [command.name for command in cli.COMMANDS]


def run(*arguments):
    """A finished process, with `stdout` and `stderr` as text."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def succeed(*arguments):
    """Standard output of a command that must work, and say nothing on stderr."""
    process = run(*arguments)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout


def one_line(status, stdout, stderr):
    """The message of a command that must have failed."""
    assert (status, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert line.startswith("keras-se") and "error: " in line
    return line


def fail(*arguments):
    process = run(*arguments)
    return one_line(process.returncode, process.stdout, process.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with four classes, and two pictures of each."""
    root = tmp_path_factory.mktemp("cli")
    random = np.random.default_rng(0)
    for name in "abcd":
        (root / "pictures" / name).mkdir(parents=True)
        for index in range(2):
            pixels = random.integers(0, 256, (20, 30, 3), "uint8")
            Image.fromarray(pixels).save(root / "pictures" / name / f"{index}.png")
    SEResNetCIFAR(8, classes=4).save(root / "model.keras")
    return root


@pytest.fixture(scope="module")
def converted(folder):
    """What `convert` printed; the file is model.tflite."""
    return succeed(
        *("convert", folder / "model.keras", "--calibration", folder / "pictures"),
        *("-o", folder / "model.tflite"),
    )


def test_convert_writes_a_file_for_raw_pixels_and_reports(folder, converted):
    content = (folder / "model.tflite").read_bytes()
    assert "top-1 agreement" in converted and f"{len(content)} bytes" in converted
    (tensor,) = tflite.inspect(content).inputs
    assert (tensor.dtype, tensor.scale, tensor.zero_point) == ("uint8", 1.0, 0)


def test_inspect(folder, converted, call):
    status, printed, _ = call("inspect", folder / "model.tflite", "--json")
    content = json.loads(printed)
    assert content["is_strict_int8"] and content["inputs"][0]["shape"] == [1, 32, 32, 3]
    assert content["sequence"].count("LOGISTIC") == 3
    status, printed, _ = call("inspect", folder / "model.tflite")
    assert status == 0 and "CONV_2D" in printed


def test_compare(folder, converted, call):
    data = ("--data", folder / "pictures", "--runs", "5")
    files = (folder / "model.keras", folder / "model.tflite")
    figures = json.loads(succeed("compare", *files, *data, "--json"))
    assert figures["images"] == 8 and figures["runs"] == 5 and figures["snr_db"] > 15
    assert figures["file_accuracy"] is not None  # labels come from the folders
    status, printed, _ = call("compare", *files, *data)
    assert status == 0 and "SNR" in printed


def test_convert_without_preprocess(folder, call):
    output = folder / "plain.tflite"
    arguments = ("--recipe", "float16", "--logits", "--no-preprocess", "-o", output)
    status, printed, errors = call("convert", folder / "model.keras", *arguments)
    assert (status, errors) == (0, "")
    assert "compared on noise" in printed and "input: what the model takes" in printed
    assert tflite.inspect(output).sequence[-1] == "FULLY_CONNECTED"


def test_preprocess_of_a_model_that_has_none(folder, call):
    path = folder / "foreign.keras"
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]).save(path)
    arguments = ("convert", path, "--recipe", "float32", "-o", folder / "foreign.tflite")
    assert "carries no `preprocess`" in one_line(*call(*arguments, "--preprocess"))
    status, printed, _ = call(*arguments)
    assert status == 0 and "input: what the model takes" in printed
    status, printed, _ = call(*arguments, "--overwrite", "--c-array", "--json")
    report = json.loads(printed)
    assert status == 0 and report["recipe"]["name"] == "float32"
    assert report["file"] == str(folder / "foreign.tflite")
    assert report["c_array"] == str(folder / "foreign.h")


def test_models(call):
    status, printed, _ = call("models", "--json")
    assert status == 0
    assert {row["name"] for row in json.loads(printed)} == set(list_models())


def test_errors_are_one_line(folder, tmp_path, converted, call):
    model, file = folder / "model.keras", folder / "model.tflite"
    fake = tmp_path / "fake.keras"
    fake.write_text("no model")
    out = ("-o", tmp_path / "out.tflite")
    pictures = ("--calibration", folder / "pictures")
    cases = {
        ("convert", tmp_path / "none.keras", *out): "No such file",
        ("convert", file, *out): "Not a Keras model file",
        ("convert", fake, *out): "Not a Keras model file",
        ("convert", model, "-o", file): "exists; pass --overwrite",
        ("convert", model, "-o", model, "--overwrite"): "another file of the command",
        ("convert", model, "-o", tmp_path / "out.h", "--c-array"): "a .tflite file",
        ("convert", tmp_path, *out): "A folder, not a file",
        ("compare", model, file, "--data", folder / "pictures", "--threads", "0"): "--threads 0",
        ("convert", model, "-o", tmp_path / "no" / "out.tflite"): "No such folder",
        ("convert", model, "-o", tmp_path): "is a folder",
        ("convert", model, *out, "--recipe", "int4"): "Unknown recipe 'int4'",
        ("convert", model, *out, "--io", "int4"): "invalid choice: 'int4'",
        ("convert", model, *out): "needs images",
        ("convert", model, *out, *pictures, "--min-snr-db", "200"): "below --min-snr-db 200",
        ("convert", model, "--recipe", "float32", "-o", "/proc/out.tflite"): "/proc",
        ("convert", model): "required: -o",
        ("compare", model, tmp_path / "none.tflite", "--data", folder): "No such file",
        ("inspect", fake): "Not a TFLite model",
        ("demo", "--output", tmp_path, "--data", tmp_path / "none"): "no such folder",
        ("frobnicate",): "invalid choice: 'frobnicate'",
        (): "required: COMMAND",
    }
    for arguments, message in cases.items():
        assert message in one_line(*call(*arguments)), arguments
    assert not out[1].exists()


def test_errors_are_one_line_in_a_process_of_their_own(folder, tmp_path):
    assert "No such file" in fail("convert", tmp_path / "none.keras", "-o", "out.tflite")
    arguments = ("--recipe", "int4", "-o", tmp_path / "out.tflite")
    assert "Unknown recipe" in fail("convert", folder / "model.keras", *arguments)


def test_debug_shows_the_traceback():
    process = run("inspect", "none.tflite", "--debug")
    assert process.returncode != 0
    assert "Traceback" in process.stderr and "No such file: 'none.tflite'" in process.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(name):
    printed = succeed(name, "--help")
    assert f"  keras-se {name}" in printed.partition("examples:")[2]
    assert name in succeed("--help")


def test_the_help_of_convert_lists_the_recipes():
    printed = succeed("convert", "--help")
    assert all(f"  {name} " in printed for name in tflite.RECIPES)


@pytest.mark.parametrize(
    "command", [["-m", "keras_se"], [Path(sys.executable).parent / "keras-se"]]
)
@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_does_not_wait_for_keras(command, argument):
    if not Path(command[0]).exists() and command[0] != "-m":
        pytest.skip("keras-se is not installed beside this Python")
    process = subprocess.run(
        [sys.executable, "-X", "importtime", *command, argument], capture_output=True, text=True
    )
    imported = {line.rpartition("|")[2].strip() for line in process.stderr.splitlines()}
    assert process.returncode == 0 and "keras_se.cli" in imported
    assert not imported & {"keras", "tensorflow", "numpy"}


def test_ctrl_c_ends_the_demo_quietly(folder, tmp_path):
    output = tmp_path / "demo"
    arguments = ["demo", "--data", folder / "pictures", "--epochs", "10000", "--output", output]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell runs in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not output.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(2)  # into the training
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (stdout, stderr) == ("", "keras-se: interrupted\n")
    # A shell reports both as 130; CPython kills itself where the signal met an `exec`.
    assert process.returncode in (130, -signal.SIGINT)
    assert os.listdir(output) == []


def test_a_reader_that_leaves_early_is_no_error():
    shell = f"{sys.executable} -m keras_se models | head -n 1; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert process.stderr == "" and process.returncode in (0, 141)
    assert process.stdout.startswith("model")


def test_unexpected_errors_name_their_kind():
    assert cli.one_line(KeyError("x")) == "KeyError: 'x' (--debug shows where)"
    assert cli.one_line(ValueError("two\n  lines")) == "two lines"
    assert len(cli.one_line(ValueError("long " * 1000))) < 700


def test_evaluate_a_file_and_refuse_an_unknown_network(folder, call):
    arguments = ("--data", folder / "pictures", "--json")
    status, stdout, _ = call("evaluate", folder / "model.keras", *arguments)
    figures = json.loads(stdout)
    assert status == 0 and figures["images"] == 8 and figures["crop"] == 1.0
    assert 0 <= figures["top1"] <= figures["top5"] == 100
    assert "SEResNet51" in one_line(*call("evaluate", "SEResNet51", *arguments))


def test_the_bounds_and_dtypes_of_convert_are_options():
    from keras_se.cli import convert
    from keras_se.cli._command import make_parser

    parser = make_parser((convert.COMMAND,), "0")
    words = "convert m.keras -o m.tflite --io int16 --max-accuracy-drop 0.02".split()
    arguments = parser.parse_args(words)
    assert (arguments.io, arguments.max_accuracy_drop) == ("int16", 0.02)


def test_names_that_the_terminal_has_no_characters_for(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert cli.main(["--version"]) == 0
    train._print(
        {"unreadable": {}, "class_accuracy": {"猫": 0.5, "\udce4": 1.0}}
        | {"model": "m", "accuracy": 0.75, "pictures": 4, "epochs": 1}
        | {"best_accuracy": 0.75, "seconds": 1},
        Path("run"),
    )
    terminal.flush()
    assert b"\\u732b" in terminal.buffer.getvalue()
