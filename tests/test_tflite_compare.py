"""What a file contains and how it differs: the figures are what NumPy makes of them."""

import json
import math

import keras
import numpy as np
import pytest

from keras_se.tflite import Runner, compare, convert, inspect
from keras_se.tflite.accuracy.scores import snr_db
from keras_se.tflite.file.flatfile import with_logits

layers = keras.layers
IMAGES = np.random.default_rng(0).normal(size=(30, 8, 8, 3)).astype("float32")


def classifier(activation="softmax", classes=4):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(classes, activation=activation),
        ]
    )


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def content(model):
    return convert(model, "static_int8", IMAGES).model


def test_the_figures_are_those_of_the_outputs():
    model = classifier(activation=None)
    content = convert(model, "static_int8", IMAGES).model
    runner = Runner(content)
    got = np.concatenate([runner(image)[0] for image in IMAGES])
    expected = model.predict(IMAGES, verbose=0)
    labels = np.arange(30) % 4
    comparison = compare(model, content, IMAGES, labels=labels, runs=5, num_threads=2)
    error = np.abs(expected - got)
    assert comparison.images == 30
    assert comparison.agreement == (expected.argmax(1) == got.argmax(1)).mean()
    assert comparison.float_accuracy == (expected.argmax(1) == labels).mean()
    assert comparison.file_accuracy == (got.argmax(1) == labels).mean()
    assert comparison.max_abs_error == pytest.approx(error.max(), rel=1e-4)
    assert comparison.mean_abs_error == pytest.approx(error.mean(), rel=1e-4)
    snr = 10 * np.log10(np.square(expected).sum() / np.square(error).sum())
    assert comparison.snr_db == pytest.approx(snr, rel=1e-4)
    assert (comparison.measured_on, comparison.runs, comparison.num_threads) == ("outputs", 5, 2)
    assert comparison.latency_ms > 0
    assert comparison.size_bytes == len(content)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_snr_is_of_the_logits_where_the_model_ends_in_a_softmax(activation):
    model, plain = classifier(activation), classifier(None)
    plain.set_weights(model.get_weights())
    with_activation = convert(model, "static_int8", IMAGES).report.comparison
    without = convert(plain, "static_int8", IMAGES).report.comparison
    assert with_activation.measured_on == "logits"
    assert with_activation.snr_db == pytest.approx(without.snr_db, abs=0.01)


def test_the_copy_with_logits_answers_as_the_file_and_keeps_the_delegation(content):
    copy = with_logits(content)
    runner, probe = Runner(content), Runner(copy)
    for image in IMAGES[:5]:
        output, logits = probe(image)
        np.testing.assert_array_equal(output, runner(image)[0])
        assert output.argmax() == logits.argmax()
    before, after = inspect(content), inspect(copy)
    assert (before.partitions, before.not_delegated) == (after.partitions, after.not_delegated)


def test_a_file_of_another_model_is_seen(content):
    with pytest.raises(ValueError, match="not of this model"):
        compare(classifier(classes=5), content, IMAGES)
    other = classifier()
    other.layers[0].set_weights([-w for w in other.layers[0].get_weights()])
    assert compare(other, content, IMAGES).snr_db < 6


def test_equal_outputs_are_infinite_decibels_and_valid_json():
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.MaxPooling2D(2)])
    comparison = compare(model, convert(model, "float32").model, IMAGES[:2, :4, :4])
    assert comparison.snr_db == math.inf
    assert json.loads(json.dumps(comparison.to_dict(), allow_nan=False))["snr_db"] == "inf"
    assert "inf dB" in str(comparison)


def test_labels_come_with_a_dataset_or_are_given(model, content):
    import tensorflow as tf

    labels = np.arange(30) % 4
    data = tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(7)
    from_dataset = compare(model, content, data)
    given = compare(model, content, IMAGES, labels=np.eye(4)[labels])
    assert from_dataset.file_accuracy == given.file_accuracy
    assert compare(model, content, IMAGES).file_accuracy is None
    with pytest.raises(ValueError, match="30 images"):
        compare(model, content, IMAGES, labels=[1, 2])


def test_class_folders_are_labels_only_when_there_is_one_for_each_class(model, content, tmp_path):
    from PIL import Image

    for index, name in enumerate("abcd"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), (40 * index,) * 3).save(tmp_path / name / "0.png")
    assert compare(model, content, tmp_path).float_accuracy is not None
    (tmp_path / "d" / "0.png").unlink()
    assert compare(model, content, tmp_path).float_accuracy is None


def test_inspect_lists_operators_tensors_and_partitions(content, tmp_path):
    inspection = inspect(content)
    assert inspection.sequence == (
        *("QUANTIZE", "CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX", "QUANTIZE"),
    )
    assert sum(operator.count for operator in inspection.operators) == 6
    assert inspection.size_bytes == len(content)
    assert (inspection.inputs[0].shape, inspection.inputs[0].dtype) == ((1, 8, 8, 3), "uint8")
    assert inspection.outputs[0].scale == 1 / 256
    assert inspection.partitions == 1
    assert "SOFTMAX" in inspection.not_delegated and "CONV_2D" not in inspection.not_delegated
    assert inspection.is_strict_int8
    assert "CONV_2D" in str(inspection)
    json.dumps(inspection.to_dict(), allow_nan=False)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert inspect(path) == inspection == inspect(str(path))


def test_a_float_file_is_not_strict_int8(model):
    inspection = convert(model, "float32").report.inspection
    assert inspection.float_tensors
    assert not inspection.is_strict_int8
    assert {dtype for op in inspection.operators for dtype in op.dtypes} <= {"float32", "int32"}


class Sign(layers.Layer):
    def call(self, inputs):
        return keras.ops.sign(inputs)


def test_two_partitions_around_an_operator_that_xnnpack_does_not_run():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 1), Sign(), layers.Conv2D(4, 1)]
    )
    inspection = convert(model, "float32").report.inspection
    assert inspection.sequence == ("CONV_2D", "SIGN", "CONV_2D")
    assert (inspection.partitions, inspection.not_delegated) == (2, ("SIGN",))


@pytest.mark.parametrize("cut", [0, 4, 100, -100])
def test_what_is_no_tflite_file_is_refused(content, cut):
    with pytest.raises(ValueError, match=r"TFLite|refuses"):
        inspect(content[:cut])


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inspect("nowhere.tflite")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_file_whose_values_are_not_finite_has_no_signal(value):
    assert snr_db(np.ones(2), np.array([1.0, value])) == -math.inf
