"""What the command line says to somebody who meets it for the first time."""

import errno
import json
import os
import signal
import time

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import files, tflite
from keras_se.applications import SEResNetCIFAR, list_models
from keras_se.applications.preprocessing import MODES
from keras_se.cli._flags import with_flags
from keras_se.cli._signals import Terminated, sigterm_raises
from keras_se.tflite.inputs.normalisation import RAW_PIXELS, normalises
from keras_se.training.run.checkpoint import Checkpoint

layers = keras.layers


def save(path, *first, shape=(8, 8, 3), classes=3, constant=False):
    """A classifier of no library's, with layers in front; or one that has one answer to all."""
    dense = layers.Dense(classes, bias_initializer="ones" if constant else "zeros")
    steps = [*first, layers.GlobalAveragePooling2D(), dense]
    model = keras.Sequential([keras.Input(shape), *steps])
    if constant:
        dense.set_weights([np.zeros((shape[-1], classes)), np.arange(classes)])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes with two pictures each, a foreign model, and one of ours."""
    root = tmp_path_factory.mktemp("messages")
    for place, name in enumerate("abc"):
        (root / "pictures" / name).mkdir(parents=True)
        for index in range(2):
            pixels = np.full((8, 8, 3), 60 * place + 20 * index + 10, "uint8")
            Image.fromarray(pixels).save(root / "pictures" / name / f"{index}.png")
    save(root / "foreign.keras")
    SEResNetCIFAR(8, classes=3, input_shape=(32, 32, 3)).save(root / "own.keras")
    return root


@pytest.fixture
def error(call):
    def error(*arguments):
        status, printed, errors = call(*arguments)
        assert (status, printed) == (2, "")
        (line,) = errors.splitlines()
        return line

    return error


@pytest.mark.parametrize("mode", MODES)
def test_the_modes_are_those_of_keras_applications(mode):
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    theirs = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
    np.testing.assert_allclose(MODES[mode](pixels), theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_put_into_the_file(mode, folder, tmp_path, call):
    model, file = folder / "foreign.keras", tmp_path / "m.tflite"
    pictures = folder / "pictures"
    options = ("--recipe", "float32", "--calibration", pictures, f"--preprocess-{mode}")
    status, printed, _ = call("convert", model, *options, "-o", file)
    assert status == 0 and RAW_PIXELS not in printed and "raw pixels in [0, 255]" in printed
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype("float32")
    expected = keras.saving.load_model(model)(MODES[mode](pixels)[None])
    np.testing.assert_allclose(tflite.Runner(file)(pixels)[0], expected, rtol=1e-4, atol=1e-4)


def test_raw_pixels_for_a_model_that_may_want_others(folder, tmp_path, call):
    foreign, scaled = folder / "foreign.keras", tmp_path / "scaled.keras"
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255)])
    save(scaled, inner)
    assert not normalises(keras.saving.load_model(foreign))
    assert normalises(keras.saving.load_model(scaled))
    pictures = folder / "pictures"
    for model, warned in ((foreign, True), (scaled, False)):
        file = tmp_path / f"{model.stem}.tflite"
        options = ("--recipe", "float32", "--calibration", pictures, "-o", file)
        status, printed, _ = call("convert", model, *options)
        assert status == 0 and (f"warning: {RAW_PIXELS}" in printed) == warned
        options = ("--data", pictures, "--runs", "1", "--json")
        status, printed, _ = call("compare", model, file, *options)
        assert status == 0 and (RAW_PIXELS in json.loads(printed)["warnings"]) == warned
        status, printed, _ = call("evaluate", model, "--data", pictures)
        assert status == 0 and (RAW_PIXELS in printed) == warned
        assert "pixels: raw, in [0, 255]" in printed
    status, printed, _ = call("evaluate", foreign, "--data", pictures, "--preprocess-tf", "--json")
    assert status == 0 and not json.loads(printed)["raw_pixels"]


def test_explain_believes_that_a_model_normalises(folder, tmp_path, call):
    model = save(tmp_path / "m.keras", layers.Conv2D(4, 3))
    for flags, warned in ((), True), (("--preprocess-included",), False):
        options = ("--data", folder / "pictures", "-o", tmp_path / f"figures{warned}", *flags)
        status, printed, _ = call("explain", model, *options)
        assert status == 0 and (f"warning: {RAW_PIXELS}" in printed) == warned
    inside = ("--data", folder / "pictures", "-o", folder / "pictures" / "figures")
    status, _, errors = call("explain", model, *inside)
    assert status == 2 and "--output" in errors and "must not lie within" in errors


def test_evaluate_refuses_what_is_no_classifier_of_pictures(tmp_path, folder, error):
    dense = keras.Sequential([keras.Input((5,)), layers.Dense(2)])
    dense.save(tmp_path / "dense.keras")
    data = ("--data", folder / "pictures")
    assert "input_shape=(None, 5)" in error("evaluate", tmp_path / "dense.keras", *data)
    grey = save(tmp_path / "grey.keras", shape=(8, 8, 1))
    assert "classifier of RGB pictures" in error("evaluate", grey, *data)
    assert "keras-se compare" in error("evaluate", "m.tflite", *data)


def test_a_folder_is_looked_at_before_weights_are_fetched(tmp_path, error, monkeypatch):
    def fetch(*arguments, **options):
        raise AssertionError("fetched")

    monkeypatch.setattr("keras_se.applications.evaluation.evaluate.find_source", fetch)
    message = error("evaluate", "SEResNet50", "--data", tmp_path / "none")
    assert "No such folder of pictures. Received: --data" in message


def test_unknown_networks_and_recipes_are_guessed(folder, tmp_path, error):
    message = error("evaluate", "seresnet5O", "--data", folder / "pictures")
    assert "did you mean 'SEResNet50'" in message and "keras-se models" in message
    assert len(message) < 300
    options = ("--data", folder / "pictures", "--output", tmp_path / "run")
    message = error("train", *options, "--model-option", "dept=8")
    assert "Unknown option 'dept' of SEResNetCIFAR" in message and "'depth'" in message
    assert not (tmp_path / "run").exists()
    for name, meant in {
        "int8": "static_int8",
        "fp16": "float16",
        "Full-Integer": "static_int8",
        "dynamic": "dynamic_int8",
        "statik_int8": "static_int8",
    }.items():
        command = ("convert", folder / "own.keras", "-o", tmp_path / "m.tflite", "--recipe", name)
        message = error(*command)
        assert f"did you mean {meant!r}?" in message and "'auto'" in message


def test_a_network_with_one_answer(folder, tmp_path, call):
    pytest.importorskip("jinja2")
    model, file = save(tmp_path / "m.keras", constant=True), tmp_path / "m.tflite"
    options = ("--recipe", "float32", "--calibration", folder / "pictures", "-o", file)
    status, printed, _ = call("convert", model, *options)
    assert status == 0
    assert "the model answers 'c' for all 6 images: agreement says little" in printed
    loaded = keras.saving.load_model(model)
    arguments = {"recipes": ("float32",), "runs": 1}
    report = tflite.report(loaded, file, folder / "pictures", **arguments)
    page = " ".join(report.to_html().split()).replace("&#39;", "'")
    assert "The model answers 'c' for all 6 images" in page and "loses nothing" not in page


def test_a_low_snr_is_warned_of(folder, tmp_path, call):
    one, other = save(tmp_path / "one.keras"), save(tmp_path / "other.keras")
    file = tmp_path / "m.tflite"
    assert call("convert", one, "--recipe", "float32", "-o", file)[0] == 0
    status, printed, _ = call("compare", other, file, "--data", folder / "pictures", "--runs", 1)
    assert status == 0 and "warning: an SNR below 10 dB" in printed


@pytest.mark.parametrize("io, fed", [("uint8", "in [0, 255], uint8"), ("int8", "minus 128, int8")])
def test_what_an_app_feeds(io, fed, folder, tmp_path, call):
    file = tmp_path / "m.tflite"
    options = ("--calibration", folder / "pictures", "--preprocess-tf", "--io", io, "-o", file)
    status, printed, _ = call("convert", folder / "foreign.keras", *options)
    assert status == 0 and f"input: raw pixels {fed})" in printed
    (tensor,) = tflite.inspect(file).inputs
    assert tensor.quantize(np.array(200.0)) == (200 if io == "uint8" else 72)


def test_a_file_of_another_input(folder, tmp_path, call, error):
    grey, file = save(tmp_path / "grey.keras", shape=(8, 8, 1)), tmp_path / "m.tflite"
    assert call("convert", grey, "--recipe", "float32", "-o", file)[0] == 0
    message = error("compare", folder / "foreign.keras", file, "--data", folder / "pictures")
    assert "takes images of (8, 8, 3)" in message and "the file (8, 8, 1)" in message


def test_outputs_are_checked_before_the_work(folder, tmp_path, error, monkeypatch):
    """Root may write everywhere, so the system call is made to refuse."""

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files, "_new_file", refuse)
    model, pictures = folder / "own.keras", ("--images", folder / "pictures")
    (tmp_path / "m.tflite").write_bytes(b"a file")
    said = f"cannot be written into the folder {str(tmp_path)!r}: Permission denied"
    for command in (
        ("convert", model, "-o", tmp_path / "new.tflite"),
        ("explain", model, *pictures, "-o", tmp_path / "new" / "figures"),
        ("onnx", model, "-o", tmp_path / "new.onnx"),
        ("report", model, tmp_path / "m.tflite", *pictures, "-o", tmp_path / "new.html"),
    ):
        assert said in error(*command), command
    assert ".tflite file" in error("convert", model, "-o", tmp_path / "m.bin")
    assert os.listdir(tmp_path) == ["m.tflite"]


def test_an_error_of_a_writer_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "none" / "model.keras"
    with pytest.raises(FileNotFoundError, match=r"model\.keras") as caught:
        with files.replacing(path) as temporary:
            temporary.write_text("x")
    assert str(path) in str(caught.value) and "/.model" not in str(caught.value)


def test_messages_name_flags(folder, tmp_path, error):
    flags = {"io": "--io", "input_size": "--input-size", "calibration": "--calibration"}
    for said, shown in {
        "pass calibration=, an array": "pass --calibration, an array",
        "Received: io='int16'": "Received: --io int16",
        "audio=1, `io` and studio=2.": "audio=1, --io and studio=2.",
        'pass preprocess="included". Received: preprocess=x': "pass --preprocess-included. "
        "Received: preprocess=x",
        "pass input_size=(height, width).": "pass --input-size (height, width).",
    }.items():
        assert with_flags(said, flags) == shown
    command = ("convert", folder / "own.keras", "-o", tmp_path / "m.tflite")
    assert "pass --calibration" in error(*command)
    assert "--io int16" in error(*command, "--io", "int16")


def test_models_by_a_pattern(call, error):
    rows = json.loads(call("models", "se*50", "--json")[1])
    names = {row["name"] for row in rows}
    assert names == {n for n in list_models() if n.startswith("SE") and n.endswith("50")}
    assert {tuple(row["weights"]) for row in rows if row["variant"] == "v1.5"} >= {
        ("ra2_in1k", "a2_in1k", "a1_in1k", "a3_in1k")
    }
    assert "ra2_in1k" in call("models", "SEResNet50")[1]
    assert "No network matches" in error("models", "efficientnet")


def test_a_training_says_where_it_stopped_and_where_it_resumes(folder, tmp_path, call, monkeypatch):
    output, ends = tmp_path / "run", Checkpoint.on_epoch_end
    options = ("--data", folder / "pictures", "--output", output, "--image-size", 32)
    options += ("--batch-size", 3, "--validation", 0.5, "--model-option", "depth=8", "--epochs", 2)

    def terminated(self, epoch, logs=None):
        ends(self, epoch, logs)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Checkpoint, "on_epoch_end", terminated)
    status, _, errors = call("train", *options)
    said = "keras-se: interrupted: saved after epoch 1, step 1; the same command resumes\n"
    assert (status, errors) == (143, said) and not (output / ".lock").exists()
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.undo()
    status, printed, _ = call("train", *options)
    assert status == 0 and printed.startswith("resumed after epoch 1, step 1\nEpoch 2/2")
    assert "of 3 validation pictures after 2 epochs" in printed


@pytest.mark.parametrize(
    "number, expected", [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_within_a_destructor_ends_a_command_too(number, expected):
    """Python drops what is raised there."""

    class Held:
        def __del__(self):
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt) as info, sigterm_raises():
        Held()
        for _ in range(500):
            time.sleep(0.01)
    assert info.type is expected
