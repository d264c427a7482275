"""Trunks that start from keras.applications: the same weights, the same outputs."""

import functools

import keras
import numpy as np
import pytest

from keras_se import applications
from keras_se.applications.construction.choices import customise
from keras_se.applications.construction.imagenet_trunk import load_trunk
from keras_se.layers import SqueezeExcite

slow = pytest.mark.slow
KERAS = {"variant": "keras"}
# our network, its arguments and total weights; keras.applications' network, picture size
TRUNKS = [
    ("SEInceptionV3", {}, 25_513_404, "InceptionV3", 75),
    ("InceptionV3", {}, 23_851_784, "InceptionV3", 96),
    ("SEInceptionResNetV2", {}, 64_417_716, "InceptionResNetV2", 75),
    ("SEMobileNet", {}, 4_739_932, "MobileNet", 33),
    ("SEResNet50", KERAS, 28_141_144, "ResNet50", 64),
    pytest.param("SEResNet101", KERAS, 49_432_216, "ResNet101", 64, marks=slow),
    pytest.param("SEResNet152", KERAS, 66_973_272, "ResNet152", 33, marks=slow),
]
# Published totals of SE without biases.
WITHOUT_BIAS = {"SEInceptionV3": 25_502_728, "SEInceptionResNetV2": 64_369_096}
NARROW = {"input_shape": (32, 32, 3), "alpha": 0.25}


def randomise(model):
    """Random vectors: scales, offsets, biases and statistics start as ones and zeros."""
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            positive = weight.name in ("gamma", "moving_variance")
            low, high = (0.5, 1.5) if positive else (-0.3, 0.3)
            weight.assign(generator.uniform(low, high, weight.shape))
    return model


def images(size):
    return np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")


def with_features(model):
    """The last feature map and the logits."""
    inputs = [layer for layer in model.layers if "pool" in layer.name][-1].input
    return keras.Model(model.input, [inputs, model.output])


@pytest.mark.parametrize("name, arguments, total, application, size", TRUNKS)
def test_same_features_and_logits_as_keras_applications(name, arguments, total, application, size):
    shared = {"weights": None, "input_shape": (size, size, 3), "classifier_activation": None}
    source = randomise(getattr(keras.applications, application)(**shared))
    constructor = getattr(applications, name)
    gate = "sigmoid2" if constructor.spec.attention else None
    model = constructor(**shared, **arguments, gate=gate)
    load_trunk(model, source, customise(constructor.spec, **arguments).imagenet_trunk.rules)
    ours, theirs = with_features(model)(images(size)), with_features(source)(images(size))
    for got, expected in zip(ours, theirs, strict=True):
        scale = np.abs(expected).max()  # sums of thousands cancel: compare with the largest
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)
    assert model.count_params() == total
    if name in WITHOUT_BIAS:
        gates = [layer for layer in model.layers if isinstance(layer, SqueezeExcite)]
        biases = sum(gate.reduce.units + gate.expand.units for gate in gates)
        assert total - biases == WITHOUT_BIAS[name]


@pytest.fixture
def trained(monkeypatch):
    """keras.applications.MobileNet with other weights in place of a download."""
    calls = []

    def mobilenet(weights, include_top, alpha):
        calls.append((weights, include_top))
        model = original(weights=None, include_top=include_top, alpha=alpha)
        calls.append(randomise(model))
        return model

    original = keras.applications.MobileNet
    monkeypatch.setattr(keras.applications, "MobileNet", mobilenet)
    return calls


def test_constructor_loads_trunk_and_head(trained):
    model = applications.SEMobileNet(weights="imagenet-trunk", gate="sigmoid2", **NARROW)
    (weights, include_top), source = trained
    assert (weights, include_top) == ("imagenet", True)
    head = source.get_layer("conv_preds").get_weights()
    np.testing.assert_array_equal(model.get_layer("predictions").get_weights()[0], head[0][0, 0])


@pytest.mark.parametrize("arguments", [{"classes": 5}, {"include_top": False}])
def test_other_heads_stay_new(trained, arguments):
    model = applications.SEMobileNet(
        weights="imagenet-trunk", gate="sigmoid2", **NARROW, **arguments
    )
    (weights, include_top), source = trained
    assert (weights, include_top) == ("imagenet", False)
    np.testing.assert_array_equal(
        model.get_layer("block13_pointwise").get_weights()[0],
        source.get_layer("conv_pw_13").get_weights()[0],
    )


@pytest.mark.parametrize("attention", [None, functools.partial(SqueezeExcite, gate="sigmoid2")])
def test_other_ways_to_start_as_the_identity(trained, attention):
    model = applications.MobileNet(weights="imagenet-trunk", attention=attention, alpha=0.25)
    x = images(224)
    np.testing.assert_allclose(model(x), trained[1](x), rtol=1e-4, atol=1e-6)


def test_layers_before_the_callers_tensor_are_left_alone(trained):
    inputs = keras.Input((32, 32, 3))
    tensor = keras.layers.Conv2D(3, 1, name="callers")(inputs)
    shared = {"weights": "imagenet-trunk", "include_top": False, "alpha": 0.25}
    model = applications.MobileNet(input_tensor=tensor, **shared)
    kernels = [m.get_layer(n).kernel for m, n in ((model, "stem_conv"), (trained[1], "conv1"))]
    np.testing.assert_array_equal(*kernels)


@pytest.mark.parametrize(
    "network, arguments, received",
    [
        ("SEInceptionV3", {}, "attention='se'"),
        ("SEInceptionV3", {"gate": "sigmoid"}, "'gate': 'sigmoid'"),
        ("SEInceptionResNetV2", {"attention": "cbam"}, "attention='cbam'"),
        ("SEResNet50", {"gate": "sigmoid2"}, r"\['keras'\]"),
        ("SEResNet50", {"gate": "sigmoid2", "variant": "keras", "conv": "sk"}, "conv='sk'"),
        ("VGG16BN", {}, r"among \[\]"),
    ],
)
def test_networks_that_would_compute_something_else_are_refused(network, arguments, received):
    with pytest.raises(ValueError, match=received):
        getattr(applications, network)(weights="imagenet-trunk", **arguments)


def test_what_does_not_fit_is_listed_and_nothing_changes():
    model = applications.MobileNet(weights=None, **NARROW)
    before = model.get_weights()
    wider = keras.applications.MobileNet(weights=None, alpha=0.5)
    with pytest.raises(ValueError, match="shape: block1_pointwise/kernel is"):
        load_trunk(model, wider)
    other = keras.applications.ResNet50(weights=None, include_top=False)
    with pytest.raises(ValueError, match=r"missing: stem_conv/kernel(.|\n)*left over: conv1_conv"):
        load_trunk(model, other, ((r"stem_", "nowhere_"),))
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
