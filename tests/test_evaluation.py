"""Accuracy on folders of pictures: preparation, counting, resuming."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.applications import SEResNetCIFAR, evaluate, resize_and_crop

SIZES = [(500, 375), (375, 500), (333, 500), (97, 64), (256, 256), (301, 256), (64, 63)]


def noise(size, mode="RGB"):
    pixels = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), "uint8")
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("crop, short", [(0.875, 36), (0.95, 33), (1.0, 32)])
@pytest.mark.parametrize("name, kind", [("bicubic", Image.BICUBIC), ("bilinear", Image.BILINEAR)])
def test_every_pixel_is_pillows(size, crop, short, name, kind):
    width, height = size
    if width <= height:
        scaled = short, int(short * height / width)
    else:
        scaled = int(short * width / height), short
    left, top = round((scaled[0] - 32) / 2.0), round((scaled[1] - 32) / 2.0)
    expected = noise(size).resize(scaled, kind).crop((left, top, left + 32, top + 32))
    actual = resize_and_crop(noise(size), 32, crop, name)
    np.testing.assert_array_equal(actual, expected)
    assert actual.shape == (32, 32, 3) and actual.dtype == "uint8"


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1"])
def test_every_mode_becomes_rgb(mode):
    picture = noise((50, 40), mode)
    expected = resize_and_crop(picture.convert("RGB"), 32)
    np.testing.assert_array_equal(resize_and_crop(picture, 32), expected)


@pytest.fixture
def folder(tmp_path):
    """Ten classes with three pictures each; in those of class i red is 25 i."""
    for label in range(10):
        (tmp_path / "data" / f"n{label:08}").mkdir(parents=True)
        for index, suffix in enumerate((".JPEG", ".png", ".jpg")):
            picture = Image.new("RGB", (40 + index, 36), (25 * label, 7, 9))
            picture.save(tmp_path / "data" / f"n{label:08}" / f"a{index}{suffix}")
    (tmp_path / "data" / "n00000000" / "notes.txt").write_text("no picture")
    return tmp_path / "data"


@keras.saving.register_keras_serializable("tests")
class Redness(keras.layers.Layer):
    """Class i is the likelier the nearer the mean red is to 25 i + shift."""

    def __init__(self, shift=0, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift

    def call(self, images):
        red = keras.ops.mean(images[..., :1], axis=(1, 2))
        return -keras.ops.abs(red - 25 * keras.ops.arange(10, dtype="float32") - self.shift)


class Network(keras.Model):
    preprocess = staticmethod(lambda pixels: pixels.astype("float32"))


def network(shift=0):
    inputs = keras.Input((32, 32, 3))
    return Network(inputs, Redness(shift)(inputs), name="redness")


def test_accuracy(folder):
    calls = []
    result = evaluate(network(), folder, batch_size=7, progress=lambda *n: calls.append(n))
    assert (result.images, result.top1, result.top5) == (30, 100.0, 100.0)
    assert calls == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]
    result = evaluate(network(shift=25), folder)  # one class too low, the last one right
    assert (result.top1, result.top5) == (10.0, 100.0)
    assert evaluate(network(shift=125), folder).top5 == 50
    assert json.loads(json.dumps(result.as_dict()))["network"] == "redness"


def test_the_order_of_the_classes(folder):
    names = sorted(d.name for d in folder.iterdir())
    assert evaluate(network(), folder, class_names=names[::-1]).top1 == 0
    for path in (folder / names[3]).iterdir():
        path.unlink()
    (folder / names[3]).rmdir()
    assert evaluate(network(), folder, class_names=names).top1 == 100
    with pytest.raises(ValueError, match=r"10 classes.*9 folders"):
        evaluate(network(), folder)


def test_it_goes_on_where_it_was(folder, tmp_path):
    state = tmp_path / "state.json"

    def stop(done, total):
        if done == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(network(25), folder, batch_size=7, state=state, progress=stop)
    calls = []
    arguments = {"state": state, "progress": lambda *n: calls.append(n[0])}
    assert evaluate(network(25), folder, **arguments) == evaluate(network(25), folder)
    assert calls == [30]
    with pytest.raises(ValueError, match=r"state=.*state\.json"):
        evaluate(network(25), folder, state=state, crop=1.0)


def test_a_network_by_name(folder):
    result = evaluate("SEResNetCIFAR", folder, weights=None)
    assert result.images == 30 and result.weights is None and result.published_top1 is None
    assert (result.size, result.crop, result.interpolation) == (32, 0.875, "bicubic")


def test_the_trunk_of_keras_applications(folder, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "keras_se.applications.construction.constructor.load_imagenet_trunk",
        lambda *a: loaded.append(a),
    )
    names = [f"n{label:08}" for label in range(1000)]
    arguments = {"weights": "imagenet-trunk", "size": 32, "class_names": names}
    result = evaluate("MobileNet", folder, **arguments)
    assert loaded and (result.images, result.weights) == (30, None)


def test_pictures_are_turned_upright_and_hidden_ones_passed_over(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "n00000000" / "._a.jpg").write_bytes(b"no picture")
    for path in (folder / "n00000003").iterdir():
        path.unlink()
    picture = Image.new("RGB", (96, 32), (75, 0, 0))  # brighter on the right
    picture.paste((225, 0, 0), (48, 0, 96, 32))
    exif = picture.getexif()
    exif[0x0112] = 3  # upside down
    picture.save(folder / "n00000003" / "a0.png", exif=exif)
    seen = []

    class Watched(Network):
        preprocess = staticmethod(lambda pixels: seen.append(pixels) or pixels.astype("float32"))

    inputs = keras.Input((32, 32, 3))
    result = evaluate(Watched(inputs, Redness()(inputs)), folder, crop=1.0)
    assert result.images == 28
    [upright] = [p for p in np.concatenate(seen) if len(np.unique(p[..., 0])) > 1]
    assert upright[16, 2, 0] > 200 and upright[16, -3, 0] < 100


OUT_OF_RANGE = [{"crop": 0}, {"crop": 1.5}, {"size": 0}, {"size": 32.5}]
OUT_OF_RANGE += [{"batch_size": 0}, {"batch_size": -1}]


@pytest.mark.parametrize("arguments", OUT_OF_RANGE)
def test_sizes_out_of_their_range(folder, arguments):
    [(name, value)] = arguments.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        evaluate(network(), folder, **arguments)


@pytest.mark.parametrize("arguments", [{"weights": "m.keras"}, {"variant": "v1.5"}])
def test_a_model_has_its_own_weights(folder, arguments):
    [(name, value)] = arguments.items()
    with pytest.raises(ValueError, match=rf"a model has its own.*{name}='{value}'"):
        evaluate(network(), folder, **arguments)


@pytest.mark.parametrize("content", [b"no JSON", b"\xff\xfe", b"[1]", b'{"images": 3}'])
def test_a_file_that_keeps_no_count(folder, tmp_path, content):
    state = tmp_path / "state.json"
    state.write_bytes(content)
    with pytest.raises(ValueError, match=r"not of this evaluation.*state=.*state\.json"):
        evaluate(network(), folder, state=state)
    assert state.read_bytes() == content


def test_bad_arguments(folder):
    with pytest.raises(ValueError, match="network='SEResNet51'"):
        evaluate("SEResNet51", folder)
    with pytest.raises(ValueError, match="interpolation='nearest'"):
        evaluate(network(), folder, interpolation="nearest")
    with pytest.raises(ValueError, match="No such folder"):
        evaluate(network(), folder / "nothing")
    with pytest.raises(ValueError, match="size=None"):
        evaluate(SEResNetCIFAR(input_shape=(None, None, 3)), folder)
    deep = folder / "n00000000" / "deep.png"
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(deep)
    with pytest.raises(
        ValueError, match=r"8 bits per channel.*deep\.png"
    ):  # which would all be white
        evaluate(network(), folder)
    deep.unlink()
    (folder / "n00000000" / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.png"):
        evaluate(network(), folder)
