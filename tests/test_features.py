"""Feature maps by level, and dilation in place of strides."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_se.applications import ResNet18, ResNet50, SEResNet18, SEResNetCIFAR, SKNet26, features
from keras_se.applications.blocks.residual import DEEP
from keras_se.applications.construction.choices import customise
from keras_se.applications.resnet import SPECS


def test_levels_are_the_ends_of_the_stages():
    model = SEResNet18(weights=None, input_shape=(64, 64, 3))
    maps = features(model)
    assert {name: t.shape[1:] for name, t in maps.output.items()} == {
        "C1": (32, 32, 64),
        "C2": (16, 16, 64),
        "C3": (8, 8, 128),
        "C4": (4, 4, 256),
        "C5": (2, 2, 512),
    }
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    expected = model.get_layer("avg_pool")(maps(x)["C5"])
    trunk = keras.Model(model.input, model.get_layer("avg_pool").output)
    np.testing.assert_allclose(expected, trunk(x), rtol=1e-5)
    assert maps.preprocess == model.preprocess


def test_the_same_levels_with_and_without_a_classifier():
    top, trunk = (SEResNet18(weights=None, include_top=t) for t in (True, False))
    assert sorted(features(top).output) == sorted(features(trunk).output)


def test_chosen_levels_and_a_round_trip(tmp_path):
    maps = features(SEResNet18(weights=None, include_top=False), levels=(3, 5))
    maps.save(tmp_path / "maps.keras")
    loaded = keras.models.load_model(tmp_path / "maps.keras")
    x = np.ones((1, 70, 90, 3), "float32")
    for name in ("C3", "C5"):
        np.testing.assert_array_equal(loaded(x)[name], maps(x)[name])


def test_networks_from_elsewhere():
    model = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3))
    sizes = {name: t.shape[1] for name, t in features(model).output.items()}
    assert sizes == {"C1": 32, "C2": 16, "C3": 8, "C4": 4, "C5": 2}


L = keras.layers
RESIZING = {  # what follows a map of stride 2, and the levels then
    "pooling function": (lambda x: keras.ops.max_pool(x, 2), {"C1": 16, "C2": 8}),
    "average, stride 1": (lambda x: keras.ops.average_pool(x, 2, 1, "same"), {"C1": 16}),
    "transposed convolution": (L.Conv2DTranspose(4, 2, strides=2), {"C0": 32, "C1": 16}),
    "upsampling": (L.UpSampling2D(2), {"C0": 32, "C1": 16}),
    "resize": (lambda x: keras.ops.image.resize(x, (4, 4)), {"C1": 16, "C3": 4}),
    "slices": (lambda x: x[:, ::2, ::2], {"C1": 16, "C2": 8}),
    "valid 3x3": (L.Conv2D(4, 3, strides=2), {"C1": 16, "C2": 7}),
    "padding": (L.ZeroPadding2D(8), {"C1": 16}),
}


@pytest.mark.parametrize("case", RESIZING)
def test_what_changes_the_resolution(case):
    resize, expected = RESIZING[case]
    images = keras.Input((32, 32, 3))
    x = L.Conv2D(4, 3, strides=2, padding="same", name="first")(images)
    model = keras.Model(images, resize(x))
    sizes = {name: t.shape[1] for name, t in features(model).output.items()}
    assert sizes == expected


def test_sequential_models():
    first, second = (L.Conv2D(4, 3, strides=2, padding="same") for _ in range(2))
    model = keras.Sequential([keras.Input((32, 32, 3)), first, second])
    assert [t.shape[1] for t in features(model).output.values()] == [16, 8]
    with pytest.raises(ValueError, match="has no input yet"):
        features(keras.Sequential([L.Dense(3)]))


def test_unknown_levels_and_models_are_refused():
    for levels in ((5,), 2, ("C2",), ()):
        with pytest.raises(ValueError, match=r"\[0, 1, 2\].*Received: levels=") as error:
            features(SEResNetCIFAR(8), levels=levels)
        assert str(error.value).endswith(f"levels={levels}")
    with pytest.raises(ValueError, match="'ResNet18' of type str, which is no model"):
        features("ResNet18")

    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="Subclassed"):
        features(Subclassed())


BASIC = replace(SPECS["ResNet18"], widths=(16, 32, 64, 128))
BOTTLENECK = replace(SPECS["ResNet50"], widths=(8, 16, 32, 64))
SHORTCUTS = {
    "basic": BASIC,
    "bottleneck": replace(BOTTLENECK, depths=(2, 2, 2, 2)),
    "average": replace(BASIC, **DEEP),
    "average bottleneck": replace(BOTTLENECK, **DEEP, depths=(1, 1, 1, 1)),
    "3x3": replace(BOTTLENECK, shortcut_size=3, depths=(1, 1, 1, 1)),
}


def trunk(name, output_stride):
    chosen = customise(SHORTCUTS[name], output_stride=output_stride)
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, chosen.trunk(inputs))


@pytest.mark.parametrize("name", SHORTCUTS)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_networks_contain_the_strided_ones(name, output_stride):
    x = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    strided, dilated = trunk(name, 32), trunk(name, output_stride)
    for weight in strided.weights:
        weight.assign(np.random.default_rng(1).uniform(0.0, 0.5, weight.shape) / weight.shape[0])
    dilated.set_weights(strided.get_weights())
    step = 32 // output_stride
    assert dilated(x).shape == (1, 64 // output_stride, 96 // output_stride, strided(x).shape[-1])
    np.testing.assert_allclose(dilated(x)[:, ::step, ::step], strided(x), rtol=1e-4)


def test_output_stride_of_selective_kernels_and_what_is_refused():
    model = SKNet26(
        weights=None, include_top=False, input_shape=(64, 64, 3), output_stride=16, stages=(4, 5)
    )
    assert model.output_shape == (None, 4, 4, 2048)
    for constructor in (ResNet18, ResNet50):
        with pytest.raises(ValueError, match="output_stride=4"):
            constructor(weights=None, output_stride=4)
    with pytest.raises(ValueError, match="output_stride=16"):
        SEResNetCIFAR(weights=None, output_stride=16)
