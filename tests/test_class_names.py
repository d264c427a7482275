"""Folders are classes by their names, where a model knows the names of its classes."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import explain, tflite
from keras_se.applications import ImageModel, SEResNetCIFAR, evaluate
from keras_se.applications.preprocessing import IMAGENET
from keras_se.surgery.rebuild import Changes, rebuild
from keras_se.tflite.inputs.images import Images
from keras_se.tflite.inputs.model_labels import labels_of_model
from keras_se.training import FitSettings, fit

NAMES = ("ant", "bee", "cat")
COLOURS = np.eye(3, dtype="uint8") * 255  # of the pictures of each class


class Colours:
    """A network that is right for a picture of one of the three colours, and its folders."""

    def __init__(self, root):
        for name, colour in zip(NAMES, COLOURS, strict=True):
            (root / "all" / name).mkdir(parents=True)
            for index in range(2):
                Image.new("RGB", (8, 8), tuple(map(int, colour))).save(
                    root / "all" / name / f"{index}.png"
                )
        (root / "two").mkdir()
        for name in NAMES[1:]:
            (root / "two" / name).symlink_to(root / "all" / name)
        (root / "others").mkdir()
        (root / "others" / "dog").symlink_to(root / "all" / "ant")
        self.root = root

    def save(self, path, class_names):
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.GlobalAveragePooling2D()(inputs)
        dense = keras.layers.Dense(3, activation="softmax")
        model = ImageModel(inputs, dense(x), preprocess=IMAGENET, class_names=class_names)
        dense.set_weights([np.eye(3), np.zeros(3)])
        model.save(path)
        return path


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return Colours(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="module")
def named(colours):
    return colours.save(colours.root / "named.keras", NAMES)


@pytest.fixture(scope="module")
def nameless(colours):
    return colours.save(colours.root / "nameless.keras", None)


def test_names_survive_saving_and_surgery(named):
    model = keras.saving.load_model(named)
    assert model.class_names == NAMES
    assert rebuild(model, Changes()).class_names == NAMES
    with pytest.raises(ValueError, match=r"2 names for outputs of shape \(None, 3\)"):
        model.class_names = NAMES[:2]


def test_a_file_that_an_app_can_feed_has_the_names(named):
    model = keras.saving.load_model(named)

    def labels(model, **options):
        result = tflite.convert(model, "float32", preprocess=IMAGENET, **options)
        return tflite.read_labels(result.model)

    assert labels(model) == NAMES
    assert labels(model, labels=["a", "b", "c"]) == ("a", "b", "c")
    assert tflite.read_labels(tflite.convert(model, "float32").model) is None  # raw pixels
    pictures = COLOURS[:, None, None, :] * np.ones((1, 8, 8, 1), "uint8")
    options = {"preprocess": IMAGENET, "io": "int8"}  # which no app feeds
    assert (
        tflite.read_labels(tflite.convert(model, "static_int8", pictures, **options).model) is None
    )
    model.class_names = ("ant", "bee", "two\nlines")
    assert labels(model) is None


def test_labels_that_are_given_need_no_folder_of_their_name(colours, named):
    model = keras.saving.load_model(named)
    array = labels_of_model(Images(np.zeros((2, 8, 8, 3), "uint8")), model, [2, 0])
    assert array.class_names == NAMES and array.labels.tolist() == [2, 0]
    folder = tflite.load_images(colours.root / "others", (8, 8, 3))
    assert labels_of_model(folder, model).labels is None
    given = labels_of_model(folder, model, [1, 2])
    assert given.labels.tolist() == [1, 2] and given.no_labels is None


def test_names_survive_quantization_aware_training(named, tmp_path):
    pictures = COLOURS[:, None, None, :] * np.ones((1, 8, 8, 1), "uint8")
    aware = tflite.quantize_aware(keras.saving.load_model(named), IMAGENET, pictures)
    aware.save(tmp_path / "aware.keras")
    aware = keras.saving.load_model(tmp_path / "aware.keras")
    assert aware.class_names == tflite.strip(aware).class_names == NAMES
    assert tflite.read_labels(tflite.convert(aware).model) == NAMES


def test_fit_leaves_the_names(colours, tmp_path):
    settings = FitSettings(
        data=str(colours.root / "all"),
        output=tmp_path,
        model="SEResNetCIFAR",
        model_options={"depth": 8},
        epochs=1,
        batch_size=2,
        validation=0.5,
        verbose=0,
    )
    assert fit(settings).model.class_names == NAMES
    for file in ("best.keras", "last.keras"):
        assert keras.saving.load_model(tmp_path / file, compile=False).class_names == NAMES


def test_a_part_of_the_folders_is_right_by_name(colours, named, call):
    file = colours.root / "named.tflite"
    two = colours.root / "two"
    options = ("--calibration", two, "--recipe", "float32", "-o", file, "--overwrite")
    status, printed, _ = call("convert", named, *options)
    assert status == 0 and "top-1 accuracy   100.00% (Keras 100.00%)" in printed
    assert tflite.read_labels(file) == NAMES and "3 labels: ant, bee, cat" in printed
    status, printed, _ = call("compare", named, file, "--data", two, "--json", "--runs", 1)
    assert json.loads(printed)["file_accuracy"] == 1
    status, printed, _ = call("evaluate", named, "--data", two, "--json")
    assert json.loads(printed)["top1"] == 100
    report = tflite.report(
        keras.saving.load_model(named), file, two, preprocess=IMAGENET, recipes=("float32",), runs=1
    )
    assert report.comparison.file_accuracy == 1 and report.class_names == NAMES
    assert report.confusion.keras == ((0, 0, 0), (0, 2, 0), (0, 0, 2))


def test_a_part_of_the_folders_without_names_gives_no_accuracy_but_a_reason(
    colours, nameless, named, call
):
    file = colours.root / "nameless.tflite"
    options = ("--calibration", colours.root / "all", "--recipe", "float32", "-o", file)
    assert call("convert", nameless, *options)[0] == 0
    for model, folder, reason in (
        (nameless, "two", "2 folders for 3 classes"),
        (named, "others", "no class of the model is named as the folder 'dog'"),
    ):
        data = ("--data", colours.root / folder, "--runs", 1)
        status, printed, _ = call("compare", model, file, *data)
        assert status == 0 and f"top-1 accuracy   left out: {reason}" in printed
        options = {"preprocess": IMAGENET, "recipes": ("float32",), "runs": 1}
        loaded = keras.saving.load_model(model)
        report = tflite.report(loaded, file, colours.root / folder, **options)
        page = " ".join(report.to_html().split()).replace("&#39;", "'")
        assert f"accuracy is not: {reason}" in page and f"matrix: {reason}" in page
        with pytest.raises(ValueError, match="3 classes"):
            evaluate(loaded, colours.root / folder)


def test_explain_leaves_accuracy_out_and_says_why(colours, tmp_path):
    model = SEResNetCIFAR(8, weights=None, classes=3, input_shape=(32, 32, 3))
    told = explain_folder(model, colours.root / "two", tmp_path / "1")
    assert told.sensitivity is None
    assert "sensitivity left out: 2 folders for 3 classes" in str(told)
    model.class_names = NAMES
    told = explain_folder(model, colours.root / "two", tmp_path / "2")
    images = model.preprocess(
        np.repeat(COLOURS[1:], 2, axis=0)[:, None, None, :] * np.ones((1, 32, 32, 1))
    )
    assert told.sensitivity.accuracy == explain.sensitivity(model, images, [1, 1, 2, 2]).accuracy


def explain_folder(model, folder, output):
    from keras_se.explain.report import explain_folder

    return explain_folder(model, folder, output, preprocess=model.preprocess, shown=1)
