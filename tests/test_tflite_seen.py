"""Layers are compared picture by picture: the same figures, and memory for one tensor."""

import math
import tracemalloc

import keras
import numpy as np
import pytest

from keras_se.tflite import Images, convert
from keras_se.tflite.accuracy.layerwise import layer_errors
from keras_se.tflite.accuracy.scores import snr_db
from keras_se.tflite.accuracy.seen import Seen

RANDOM = np.random.default_rng(0)
REFERENCE = RANDOM.normal(size=(3, 4, 6, 5)).astype("float32")
VALUES = REFERENCE + RANDOM.normal(scale=0.1, size=REFERENCE.shape).astype("float32")


def seen(reference, values):
    tensor = Seen()
    for pair in zip(reference, values, strict=True):
        tensor.add(*(array[None] for array in pair))
    return tensor


def test_figures_of_pictures_one_by_one_are_those_of_all():
    tensor = seen(REFERENCE, VALUES)
    assert tensor.snr_db == pytest.approx(snr_db(REFERENCE, VALUES), rel=1e-12)
    exact = REFERENCE.astype("float64")
    assert tensor.mean == pytest.approx(exact.mean(), rel=1e-12)
    assert tensor.power == pytest.approx(np.square(exact).mean(), rel=1e-12)
    assert (tensor.smallest, tensor.largest) == (REFERENCE.min(), REFERENCE.max())
    np.testing.assert_array_equal(tensor.channels, np.abs(REFERENCE).max((0, 1, 2)))
    assert tensor.finite


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_what_is_not_finite_is_not_lost_among_other_pictures(value):
    values = VALUES.copy()
    values[1, 0, 0, 0] = value
    assert not seen(REFERENCE, values).finite
    assert seen(REFERENCE, values).snr_db == -math.inf
    assert seen(REFERENCE, REFERENCE).snr_db == math.inf
    reference = REFERENCE.copy()
    reference[1, 0, 0, 0] = math.nan
    assert math.isnan(seen(reference, VALUES).largest)


def test_the_tensors_of_a_file_are_not_kept():
    layers = keras.layers
    steps = [layers.Conv2D(16, 1, activation="relu") for _ in range(6)]
    model = keras.Sequential([keras.Input((64, 64, 3)), *steps])
    content = convert(model, "float32").model
    tensor_bytes = 64 * 64 * 16 * 4
    images = Images(RANDOM.normal(size=(8, 64, 64, 3)).astype("float32"))
    tracemalloc.start()
    try:
        errors = layer_errors(content, content, images)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(errors) == 6 and all(error.snr_db == math.inf for error in errors)
    # A float64 copy of one tensor and its squares; all that was seen would be 96 tensors.
    assert peak < 24 * tensor_bytes
