"""One sigmoid is a classifier of two classes, as for cats and dogs."""

import keras
import numpy as np
import pytest

from keras_se.tflite import compare, convert, quantize_aware, report
from keras_se.tflite.inputs.source import classes_of

layers = keras.layers
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(64, 8, 8, 3)).astype("float32")
LABELS = (IMAGES[..., 0].mean(axis=(1, 2)) > 0).astype("int64")


def bright_red(activation="sigmoid", nested=False):
    """Right for every picture: whether the mean of red is above 0."""
    head = keras.Sequential(
        [keras.Input((3,)), layers.Dense(1, activation=activation, name="head")], name="top"
    )
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(inputs)
    x = head(x) if nested else head.layers[0](x)
    head.layers[0].set_weights([np.float32([[20], [0], [0]]), np.zeros(1, "float32")])
    return keras.Model(inputs, x)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("recipe", ["float32", "static_int8"])
def test_agreement_and_accuracy(recipe, logits, nested):
    model = bright_red(nested=nested)
    result = convert(model, recipe, IMAGES, logits=logits)
    assert result.report.comparison.agreement > 0.9
    for labels in (LABELS, 1 - LABELS):
        found = compare(model, result, IMAGES, labels)
        assert found.float_accuracy == (labels == LABELS).mean()
        assert found.file_accuracy == pytest.approx(found.float_accuracy, abs=0.1)


def test_a_file_that_answers_the_other_class_does_not_agree():
    model, other = bright_red(), bright_red()
    other.layers[-1].set_weights([-w for w in other.layers[-1].get_weights()])
    found = compare(model, convert(other, "float32"), IMAGES, LABELS)
    assert (found.agreement, found.file_accuracy, found.float_accuracy) == (0, 0, 1)


def test_auto_and_a_bound_know_two_classes():
    pairs = [(image[None], [label]) for image, label in zip(IMAGES, LABELS, strict=True)]
    import tensorflow as tf

    data = tf.data.Dataset.from_generator(
        lambda: pairs, output_signature=(tf.TensorSpec((1, 8, 8, 3)), tf.TensorSpec((1,), "int64"))
    )
    result = convert(bright_red(), "dynamic_int8", data, max_accuracy_drop=0.1)
    assert result.report.comparison.float_accuracy == 1


def test_the_report_has_the_confusion_of_both_classes():
    model = bright_red()
    found = report(model, convert(model, "static_int8", IMAGES), IMAGES, LABELS, runs=1)
    assert np.sum(found.confusion.keras, axis=1).tolist() == np.bincount(LABELS).tolist()
    assert found.class_names == ("0", "1")
    assert all(row.agreement is not None for row in found.recipes)
    for each in found.disagreements:
        assert {each.keras_class, each.file_class} == {0, 1} and each.keras_score >= 0.5


def test_a_quantized_model_too():
    aware = quantize_aware(bright_red(), calibration=IMAGES)
    assert classes_of(aware) == 2
    found = compare(aware, convert(aware), IMAGES, LABELS)
    assert found.agreement == 1 and found.float_accuracy > 0.9


def test_one_number_without_a_sigmoid_is_no_class():
    model = bright_red(activation=None)
    assert classes_of(model) is None
    found = compare(model, convert(model, "float32"), IMAGES, LABELS)
    assert found.agreement is found.float_accuracy is None
