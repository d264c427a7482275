"""What a page says of figures at their edges: no signal, equal speeds, files without a softmax."""

import math
import re
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_se.tflite import convert
from keras_se.tflite.accuracy.layerwise import LayerError
from keras_se.tflite.accuracy.outputs import Outputs, _run_keras, run_both
from keras_se.tflite.inputs.images import Images
from keras_se.tflite.lowering.lower import lower
from keras_se.tflite.report.charts import layer_chart
from keras_se.tflite.report.cures import OTHER_CURE
from keras_se.tflite.report.devices import CORE_ML
from keras_se.tflite.report.findings import _faster
from keras_se.tflite.report.nodes import Node, Tensor
from keras_se.tflite.report.predictions import disagreements
from keras_se.tflite.report.recipes import RecipeRow
from keras_se.tflite.report.support import documented

PIXELS = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")


def test_a_layer_without_signal_stands_at_the_bottom_of_the_chart():
    snrs = (math.inf, 35.0, -math.inf, 20.0)
    layers = [LayerError(f"n{i}", "CONV_2D", snr, 40.0, None) for i, snr in enumerate(snrs)]
    chart = layer_chart(layers, (), 30.0)
    assert "inf" not in chart and "no signal</title>" in chart and "exact</title>" in chart
    top, _, bottom, _ = map(float, re.findall(r'cy="(.*?)"', chart))
    assert 0 < top < bottom < 280


def faster(own, *others):
    rows = [RecipeRow("static_int16x8", True, *own), *others]
    return [each.text for each in _faster(SimpleNamespace(recipes=rows, recipe_images=64))]


def row(latency_ms, snr_db, agreement=None, name="static_int8"):
    return RecipeRow(name, False, latency_ms, 1.0, 100, snr_db, agreement)


def test_a_faster_recipe_is_named_with_what_it_keeps():
    own = (10.0, 1.0, 100, 60.0)
    assert faster((*own, 1.0), row(1.0, 31.0, 0.992)) == [
        "Recipe static_int8 is 10.0 times as fast on this machine and agrees with Keras on 99.2% "
        "of 64 pictures."
    ]
    assert faster((*own, 1.0), row(1.0, 31.0, 0.98)) == []
    assert "SNR of 31.0 dB" in faster(own, row(1.0, 31.0))[0]
    assert faster(own, row(1.0, 12.0)) == []
    assert "SNR of 11.0 dB" in faster((10.0, 1.0, 100, 10.0), row(1.0, 11.0))[0]
    # The fastest loses too much, the next does not.
    (text,) = faster(own, row(1.0, 12.0), row(2.0, 40.0, name="float16"))
    assert "float16 is 5.0 times as fast" in text


def test_the_first_call_of_keras_is_not_timed():
    class Slow:
        calls = 0

        def compile(self, **options):
            pass

        def predict_on_batch(self, batch):
            self.calls += 1
            time.sleep(1.0 if self.calls == 1 else 0)
            return batch

    outputs, latency_ms = _run_keras(Slow(), PIXELS[:2])
    assert latency_ms < 500
    np.testing.assert_array_equal(outputs[0], PIXELS[:2])


@pytest.mark.parametrize("logits", [True, False])
def test_the_scores_of_a_file_without_its_softmax_are_probabilities(logits):
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers, head])
    content = convert(model, "float32", logits=logits).model
    outputs = run_both(lower(model), content, Images(PIXELS))
    np.testing.assert_allclose(outputs.file_scores, outputs.keras, atol=1e-4)
    assert outputs.left_out == logits


def test_a_disagreement_has_the_probability_of_both():
    probabilities, logits = np.array([[0.75, 0.25]]), np.array([[0.0, 5.0]])
    outputs = Outputs(
        probabilities, logits, logits, logits, "logits", 1.0, keras.activations.softmax, True
    )
    (found,) = disagreements(outputs, Images(PIXELS[:1]), None, 0)
    assert found.keras_score == 0.75
    assert found.file_score == pytest.approx(1 / (1 + math.exp(-5)), abs=1e-3)


@pytest.mark.parametrize(("operator", "cure"), [("CONV_2D", "groups='dense'"), (None, OTHER_CURE)])
def test_core_ml_offers_a_dense_kernel_to_convolutions_alone(operator, cure):
    image = Tensor("float32", (1, 8, 8, 4))
    node = Node(operator or "RESIZE_BILINEAR", 3, (image, image), (image,), {})
    (problem,) = documented(CORE_ML, [node]).problems
    assert "version 3" in problem.reason and cure in problem.cure
