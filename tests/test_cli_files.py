"""What the command line writes for apps, microcontrollers and ONNX runtimes."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import tflite
from keras_se.applications import SEResNetCIFAR
from keras_se.cli._files import read_lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    (root / "pictures").mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (32, 32, 3), "uint8")
        Image.fromarray(pixels).save(root / "pictures" / f"{index}.png")
    SEResNetCIFAR(8, classes=4).save(root / "model.keras")
    (root / "names.txt").write_text("ant\nbee\ncat\ndog\n")
    return root


def test_labels_c_array_and_onnx(folder, call):
    model, file, header = (folder / f"model.{suffix}" for suffix in ("keras", "tflite", "h"))
    pictures = ("--calibration", folder / "pictures")
    extras = ("--labels", folder / "names.txt", "--c-array")
    status, printed, errors = call("convert", model, *pictures, *extras, "-o", file)
    assert (status, errors) == (0, "")
    assert f"wrote {header} (model, model_len)" in printed
    assert tflite.read_labels(file) == ("ant", "bee", "cat", "dog")
    assert header.read_text() == tflite.to_c_array(file.read_bytes(), "model")
    status, _, errors = call(
        "convert", model, *pictures, "--c-array", "-o", folder / "model.TFLITE"
    )
    assert status == 2 and "model.h' exists; pass --overwrite" in errors

    for source, quantized in ((model, False), (file, True)):
        output = folder / f"{quantized}.onnx"
        options = ("--images", folder / "pictures", "--layout", "nchw", "-o", output)
        status, printed, errors = call("onnx", source, *options, "--json")
        assert (status, errors) == (0, "")
        result = json.loads(printed)
        assert result["input"]["shape"] == [1, 3, 32, 32]
        assert ("QuantizeLinear" in result["operators"]) == quantized
        assert output.stat().st_size == result["size_bytes"]


def test_onnx_of_a_model_that_leaves_its_size_open(tmp_path, call):
    for package in ("onnxruntime", "tf2onnx"):
        pytest.importorskip(package)
    steps = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential([keras.Input((None, None, 3)), *steps]).save(tmp_path / "open.keras")
    arguments = ("onnx", tmp_path / "open.keras", "-o", tmp_path / "open.onnx", "--json")
    status, _, errors = call(*arguments)
    assert status == 2 and "leaves it open" in errors
    status, printed, _ = call(*arguments, "--input-size", 12)
    assert (status, json.loads(printed)["input"]["shape"]) == (0, [1, 12, 12, 3])


def test_labels_of_an_editor_that_marks_its_files(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("cat\r\nö\r\n\r\n".encode("utf-8-sig"))
    assert read_lines(path) == ["cat", "ö"]


def test_a_report_does_not_replace_its_own_files(folder, tmp_path, call):
    page = tmp_path / "page"
    (tmp_path / "model.tflite").write_bytes(b"a file")
    files = (folder / "model.keras", tmp_path / "model.tflite", "--images", tmp_path)
    for outputs in (("-o", page, "--json", page), ("-o", files[1], "--overwrite")):
        status, _, errors = call("report", *files, *outputs)
        assert status == 2 and "another file of the command" in errors
    assert files[1].read_bytes() == b"a file" and not page.exists()


def test_errors_are_one_line(folder, tmp_path, call):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "fake.tflite").write_bytes(b"no model")
    model, out = folder / "model.keras", ("-o", tmp_path / "out.onnx")
    file = ("-o", tmp_path / "out.tflite")
    pictures = ("--calibration", folder / "pictures")
    cases = {
        ("convert", model, *pictures, *file, "--labels", tmp_path / "no"): "No such file",
        ("convert", model, *pictures, *file, "--labels", tmp_path / "binary"): "UTF-8",
        ("onnx", tmp_path / "none.keras", *out): "No such file",
        ("onnx", tmp_path / "fake.tflite", *out): "Not a TFLite model",
        ("onnx", tmp_path / "fake.tflite", *out, "--preprocess"): "exported as it is",
        ("onnx", model, *out, "--opset", "7"): "13..18",
        ("onnx", model, "-o", tmp_path / "none" / "m.onnx"): "No such folder",
        ("onnx", model, "-o", model, "--overwrite"): "another file of the command",
    }
    for arguments, message in cases.items():
        status, printed, errors = call(*arguments)
        assert (status, printed) == (2, ""), arguments
        (line,) = errors.splitlines()
        assert message in line, line
    assert not out[1].exists()
