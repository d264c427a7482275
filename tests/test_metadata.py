"""Metadata: what they say, that nothing else changes, and that MediaPipe reads them."""

import dataclasses
import json
import subprocess
import zipfile
from pathlib import Path

import flatbuffers.table
import keras
import numpy as np
import pytest

from keras_se.layers import SqueezeExcite
from keras_se.tflite import Runner, add_metadata, convert, inspect, read_labels
from keras_se.tflite.file import flatfile

layers = keras.layers
LABELS = ("red", "green", "blue é")
MEDIAPIPE = Path(__file__).parents[1] / ".venv-mediapipe" / "bin" / "python"
FILES = {
    "uint8": ("static_int8", "uint8"),
    "int8_inside": ("static_int8", "float32"),
    "float32": ("float32", "float32"),
}


class Pixels:
    mean, std, channel_order = (123.7, 116.8, 103.9), (58.4, 57.1, 57.4), "rgb"

    def __call__(self, images):
        return (np.asarray(images, "float32") - self.mean) / self.std


def pictures(count):
    """Pictures of one dominant colour each."""
    random = np.random.default_rng(0)
    colour = random.integers(0, 200, (count, 1, 1, 3))
    return (colour + random.integers(0, 56, (count, 24, 24, 3))).astype("uint8")


@pytest.fixture(scope="module")
def model():
    """Trained to name the strongest of the three colours, in a second."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(SqueezeExcite(ratio=4)(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    images = pictures(256)
    model.fit(Pixels()(images), images.mean(axis=(1, 2)).argmax(axis=1), epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def results(model):
    """Files without metadata."""
    return {
        name: convert(model, recipe, pictures(16), io=io, preprocess=Pixels())
        for name, (recipe, io) in FILES.items()
    }


@pytest.mark.parametrize("name", FILES)
def test_the_file_computes_what_it_did(results, name):
    plain = results[name]
    described = add_metadata(plain, LABELS, name="Colours", author="A", licence="MIT")
    before, after = Runner(plain.model), Runner(described.model)
    for image in pictures(4):
        np.testing.assert_array_equal(before(image)[0], after(image)[0])
    assert read_labels(plain.model) is None
    assert read_labels(described.model) == LABELS
    old, new = plain.report.inspection, described.report.inspection
    size = len(described.model)
    assert new == dataclasses.replace(old, size_bytes=size, labels=LABELS)
    assert "3 labels: red, green, blue é" in str(new) and "labels" not in str(old)
    assert described.report.comparison.size_bytes == size
    signatures = [
        Runner(f).interpreter.get_signature_list() for f in (plain.model, described.model)
    ]
    assert signatures[0] == signatures[1]


def test_labels_are_a_file_that_any_zip_reader_finds_uncompressed(results, tmp_path):
    path = add_metadata(results["uint8"], LABELS).save(tmp_path / "m.tflite")
    with zipfile.ZipFile(path) as archive:
        [entry] = archive.infolist()
        assert entry.compress_type == zipfile.ZIP_STORED
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)  # the same model, the same bytes
        assert archive.read(entry).decode().split("\n") == list(LABELS)
    assert inspect(path).inputs[0].dtype == "uint8"


class Fields(flatbuffers.table.Table):
    """A table read by the numbers of its fields in the schema."""

    def text(self, field):
        return self.String(self.Pos + self.Offset(4 + 2 * field)).decode()

    def byte(self, field):
        return self.Bytes[self.Pos + self.Offset(4 + 2 * field)]

    def table(self, field):
        return Fields(self.Bytes, self.Indirect(self.Pos + self.Offset(4 + 2 * field)))

    def floats(self, field):
        offset = self.Offset(4 + 2 * field)
        count, start = self.VectorLen(offset), self.Vector(offset)
        return np.frombuffer(self.Bytes, "<f4", count, start).tolist()

    def only(self, field):
        offset = self.Offset(4 + 2 * field)
        assert self.VectorLen(offset) == 1
        return Fields(self.Bytes, self.Indirect(self.Vector(offset)))


def test_metadata_by_the_numbers_of_the_schema(results):
    """TensorMetadata: 3 content, 4 process units, 5 statistics, 6 files; RGB is 1, labels 2."""
    about = {"name": "Colours", "description": "Names.", "author": "A. Author", "licence": "MIT"}
    content = add_metadata(
        results["uint8"].model, LABELS, **about, version="1", mean=127.5, std=51.0
    )
    tree = flatfile.unpack(content)
    [entry] = [each for each in tree.metadata if each.name == b"TFLITE_METADATA"]
    metadata = bytes(tree.buffers[entry.buffer].data)
    assert metadata[4:8] == b"M001"
    root = Fields(metadata, int.from_bytes(metadata[:4], "little"))
    assert [root.text(field) for field in (0, 1, 2, 4, 5)] == [
        *("Colours", "Names.", "1", "A. Author", "MIT")
    ]
    image, scores = root.only(3).only(2), root.only(3).only(3)
    assert image.table(3).byte(0) == 2 and image.table(3).table(1).byte(0) == 1
    options = image.only(4).table(1)
    assert image.only(4).byte(0) == 1
    assert (options.floats(0), options.floats(1)) == ([127.5], [51.0])
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([2.5], [-2.5])
    assert scores.table(3).byte(0) == 1
    assert (scores.only(6).text(0), scores.only(6).byte(2)) == ("labels.txt", 2)


def test_new_metadata_replace_the_old(results):
    content = results["uint8"].model
    once = add_metadata(content, LABELS, name="Colours")
    assert add_metadata(add_metadata(content, ["a", "b", "c"]), LABELS, name="Colours") == once
    assert add_metadata(content, LABELS, name="Colours") == once
    names = [entry.name for entry in flatfile.unpack(once).metadata]
    assert names.count(b"TFLITE_METADATA") == 1 and len(names) > 1


@pytest.mark.parametrize("described", [False, True])
def test_weights_lie_on_addresses_divisible_by_16(results, described):
    content = results["float32"].model
    content = add_metadata(content, LABELS) if described else content
    tree = flatfile.schema.Model.GetRootAs(content, 0)
    buffers = [tree.Buffers(i) for i in range(tree.BuffersLength())]
    filled = [buffer._tab for buffer in buffers if buffer.DataLength()]
    assert len(filled) > 5
    assert all(table.Vector(table.Offset(4)) % 16 == 0 for table in filled)


def test_convert_takes_labels(model):
    options = {"preprocess": Pixels(), "labels": LABELS}
    result = convert(model, "static_int8", pictures(8), **options)
    assert read_labels(result.model) == LABELS
    with pytest.raises(ValueError, match="pass preprocess="):
        convert(model, "float32", labels=LABELS)
    with pytest.raises(ValueError, match=r'io="uint8"'):
        convert(model, "static_int8", pictures(8), io="int8", **options)


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        (["a", "b"], {}, ValueError, "each of the 3 classes. Received: 2 labels"),
        ("abc", {}, TypeError, "sequence of strings"),
        (["a", "b", 3], {}, TypeError, "sequence of strings"),
        (["a", "b\nc", "d"], {}, ValueError, "one line of text"),
        (["a", "", "d"], {}, ValueError, "one line of text"),
        (LABELS, {"std": 0}, ValueError, "std must be positive"),
    ],
)
def test_what_does_not_fit_is_refused(model, results, labels, options, error, message):
    with pytest.raises(error, match=message):
        add_metadata(results["uint8"].model, labels, **options)
    if not options:  # and before a conversion starts
        with pytest.raises(error, match=message):
            convert(model, "float32", preprocess=Pixels(), labels=labels)


def test_a_file_that_is_no_classifier_is_refused():
    features = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 1)])
    with pytest.raises(ValueError, match="image classifier"):
        add_metadata(convert(features, "float32").model, ["a"] * 4)
    five = keras.Sequential([keras.Input((8, 8, 5)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="image classifier"):
        add_metadata(convert(five, "float32").model, ["a", "b"])


@pytest.mark.skipif(not MEDIAPIPE.exists(), reason="`make test-mediapipe` makes its environment")
def test_mediapipe_names_the_class_that_keras_names(model, results, tmp_path):
    images = pictures(64)
    np.save(tmp_path / "pictures.npy", images)
    about = {"name": "Colours", "author": "A. Author", "licence": "MIT", "description": "Names."}
    for name, result in results.items():
        add_metadata(result, LABELS, **about, version="1").save(tmp_path / f"{name}.tflite")
    plain = convert(takes_minus_one_to_one(model), "float32", images / 127.5 - 1)
    described = add_metadata(plain, LABELS, mean=127.5, std=127.5)
    described.save(tmp_path / "app_normalises.tflite")

    script = Path(__file__).with_name("mediapipe_check.py")
    subprocess.run([MEDIAPIPE, script, tmp_path], check=True, capture_output=True, timeout=300)
    answers = json.loads((tmp_path / "answers.json").read_text())

    scores = model.predict(Pixels()(images), verbose=0)
    expected = [LABELS[index] for index in scores.argmax(axis=1)]
    assert len(set(expected)) == 3
    assert set(answers) == {f"{name}.tflite" for name in (*FILES, "app_normalises")}
    for name, answer in answers.items():
        integers = name.startswith(("uint8", "int8"))
        names, best = zip(*answer["answers"], strict=True)
        agreement = np.mean([a == b for a, b in zip(names, expected, strict=True)])
        print(f"{name}: MediaPipe agrees with Keras on {agreement:.1%} of {len(images)}")
        assert agreement >= (0.95 if integers else 1.0)
        np.testing.assert_allclose(best, scores.max(axis=1), atol=0.1 if integers else 1e-4)
    _check_metadata(answers["uint8.tflite"]["metadata"], about)
    [unit] = _input(answers["app_normalises.tflite"]["metadata"])["processUnits"]
    assert unit["options"] == {"mean": [127.5], "std": [127.5]}


def takes_minus_one_to_one(model):
    """The same network for pixels that the app maps to [-1, 1]."""
    variance = np.square(Pixels.std)
    return keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            layers.Rescaling(127.5, offset=127.5),
            layers.Normalization(mean=Pixels.mean, variance=variance),
            model,
        ]
    )


def _input(metadata):
    [tensor] = metadata["subgraphMetadata"][0]["inputTensorMetadata"]
    return tensor


def _check_metadata(metadata, about):
    """As MediaPipe's own schema reads it."""
    read = {key: metadata[key] for key in ("name", "author", "license", "description")}
    assert read == {"license": about["licence"]} | {k: about[k] for k in read if k != "license"}
    image = _input(metadata)
    [unit] = image["processUnits"]
    assert unit["options"] == {"mean": [0.0], "std": [1.0]}
    assert image["content"]["contentProperties"]["colorSpace"] == 1  # RGB
    assert image["stats"] == {"max": [255.0], "min": [0.0]}
    [scores] = metadata["subgraphMetadata"][0]["outputTensorMetadata"]
    [file] = scores["associatedFiles"]
    assert (file["name"], file["type"]) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS
