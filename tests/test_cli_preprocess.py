"""Where raw pixels are normalised, as the command line is told."""

import argparse
import json
import shlex

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import tflite
from keras_se.applications import SEResNetCIFAR
from keras_se.cli._preprocess import PREPROCESS, add_preprocess_argument, preprocess_of
from keras_se.tflite.inputs.normalisation import INCLUDED
from keras_se.tflite.inputs.preprocess import add_preprocess

layers = keras.layers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that takes raw pixels, as `tflite.strip` gives it, its int8 file, and pictures."""
    root = tmp_path_factory.mktemp("preprocess")
    random = np.random.default_rng(0)
    for name in "ab":
        (root / "pictures" / name).mkdir(parents=True)
        for index in range(2):
            pixels = random.integers(60, 200, (8, 8, 3), "uint8")
            Image.fromarray(pixels).save(root / "pictures" / name / f"{index}.png")
    inputs = keras.Input((8, 8, 3))
    x = add_preprocess(inputs, SEResNetCIFAR(8, weights=None).preprocess)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    keras.Model(inputs, layers.Dense(2)(x)).save(root / "model.keras")
    return root


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_preprocess_argument(parser)
    return parser.parse_args(words).preprocess


def test_every_word_of_the_table_has_a_flag():
    for where, (flag, _) in PREPROCESS.items():
        assert parsed(flag) == where
    assert parsed() is None
    assert INCLUDED in PREPROCESS
    with pytest.raises(SystemExit):
        parsed("--preprocess", "--preprocess-included")


def test_what_a_model_carries_is_the_default():
    model = SEResNetCIFAR(8, weights=None)
    for where, expected in {
        None: model.preprocess,
        "carried": model.preprocess,
        "included": "included",
        "none": None,
    }.items():
        assert preprocess_of(model, where) == expected
    plain = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()])
    assert preprocess_of(plain, None) is None


def test_a_file_of_a_model_that_takes_raw_pixels_stores_them_as_they_are(folder, call):
    pictures, model, file = folder / "pictures", folder / "model.keras", folder / "model.tflite"
    options = ("--calibration", pictures, "-o", file)
    status, printed, errors = call("convert", model, *options, "--preprocess-included")
    assert (status, errors) == (0, "") and "input: raw pixels in [0, 255]" in printed
    (tensor,) = tflite.inspect(file).inputs
    assert (tensor.dtype, tensor.scale, tensor.zero_point) == ("uint8", 1.0, 0)

    options = ("--data", pictures, "--preprocess-included", "--runs", "1", "--json")
    status, printed, errors = call("compare", model, file, *options)
    assert (status, errors) == (0, "") and json.loads(printed)["snr_db"] > 25


def test_a_report_of_it(folder, call):
    pytest.importorskip("jinja2")
    model, file, page = (folder / name for name in ("model.keras", "f.tflite", "page.html"))
    options = ("--recipe", "float32", "--preprocess-included", "-o", file)
    assert call("convert", model, *options)[0] == 0
    options = ("--images", folder / "pictures", "-o", page, "--json", folder / "page.json")
    options = (*options, "--runs", "1", "--recipes", "float32", "--preprocess-included")
    words = [str(word) for word in ("report", model, file, *options)]
    status, _, errors = call(*words)
    assert (status, errors) == (0, "") and page.exists()
    origin = json.loads((folder / "page.json").read_text())["origin"]
    assert origin["command"] == shlex.join(["keras-se", *words])


def test_onnx_of_it(folder, call):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model, output = folder / "model.keras", folder / "model.onnx"
    options = ("--images", folder / "pictures", "-o", output)
    status, _, errors = call("onnx", model, *options, "--preprocess-included")
    assert (status, errors) == (0, "") and output.exists()
    random = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    with pytest.raises(ValueError, match=r"raw pixels in \[0, 255\]"):
        tflite.to_onnx(
            keras.saving.load_model(model), folder / "no.onnx", preprocess="included", images=random
        )
    with pytest.raises(ValueError, match='pass preprocess="included"'):
        tflite.to_onnx(
            keras.saving.load_model(model),
            folder / "no.onnx",
            preprocess=SEResNetCIFAR(8, weights=None).preprocess,
        )
