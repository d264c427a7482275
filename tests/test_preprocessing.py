"""From pixels to a network's input, and from its answer to names."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.applications import (
    DownloadError,
    Preprocessing,
    SEResNetCIFAR,
    decode_predictions,
)
from keras_se.applications.preprocessing import CAFFE, IMAGENET

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), "uint8")


@pytest.mark.parametrize("preprocessing", [IMAGENET, CAFFE])
def test_what_pixels_come_in(preprocessing):
    ordered = PIXELS[..., :: {"rgb": 1, "bgr": -1}[preprocessing.channel_order]]
    expected = (ordered - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    for pixels in (PIXELS, PIXELS.tolist(), keras.ops.convert_to_tensor(PIXELS)):
        found = keras.ops.convert_to_numpy(preprocessing(pixels))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        assert found.dtype == "float32"
    np.testing.assert_array_equal(
        preprocessing(Image.fromarray(PIXELS[0])), preprocessing(PIXELS[0])
    )


@pytest.mark.parametrize("pixels", [PIXELS[..., :1], PIXELS[..., :1].tolist(), 3.0])
def test_other_channels_are_refused(pixels):
    with pytest.raises(ValueError, match=r"3 channels. Received: shape=\("):
        IMAGENET(pixels)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_each_of_four_channels_has_its_own_colours_mean(order):
    by_colour = {"r": 1.0, "g": 2.0, "b": 3.0}
    three = Preprocessing([by_colour[c] for c in order], (1, 1, 1), order)
    four = three.for_channels(4)
    assert four(np.array([[[1.0, 2.0, 3.0, 1.0]]])).tolist() == [[[0.0] * 4]]
    assert three.for_channels(1).mean == (2.0,)


def test_names_that_cannot_be_fetched(monkeypatch, tmp_path):
    def fails(preds, top):
        raise Exception("URL fetch failure on https://example.org/imagenet_class_index.json")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", fails)
    with pytest.raises(DownloadError, match=rf"example\.org.*{tmp_path}/models/imagenet_class"):
        decode_predictions(np.zeros((1, 1000)))
    monkeypatch.undo()
    with pytest.raises(ValueError, match="1000"):
        decode_predictions(np.zeros((1, 10)))


def test_a_models_own_names(tmp_path):
    model = SEResNetCIFAR(8, classes=4)
    model.class_names = ["cat", "dog", "fox", "owl"]
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    preds = loaded(np.random.default_rng(0).normal(size=(2, 32, 32, 3)))  # a backend's tensor
    decoded = decode_predictions(preds, top=9, class_names=loaded.class_names)
    for row, named in zip(keras.ops.convert_to_numpy(preds), decoded, strict=True):
        assert sorted(named) == [(i, model.class_names[i], row[i]) for i in range(4)]
        assert [p for *_, p in named] == sorted(row, reverse=True)


@pytest.mark.parametrize(
    ("preds", "options", "message"),
    [
        (np.zeros((1, 10)), {}, r"\(batch, 1000\).*`class_names` names others.*\(1, 10\)"),
        (np.zeros((1, 3)), {"class_names": ["a", "b"]}, r"\(batch, 2\).*shape \(1, 3\)"),
        (np.zeros(2), {"class_names": ["a", "b"]}, r"\(batch, 2\).*shape \(2,\)"),
        (np.zeros((1, 2)), {"class_names": ["a", "b"], "top": 0}, "`top`.*top=0"),
    ],
)
def test_answers_that_cannot_be_named(preds, options, message):
    with pytest.raises(ValueError, match=message):
        decode_predictions(preds, **options)
