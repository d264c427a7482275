"""MobileNet and VGG: widths, placement, identity start, heads."""

import inspect

import keras
import numpy as np
import pytest

from keras_se.applications import SEVGG16BN, VGG16BN, MobileNet, SEMobileNet, mobilenet, profile
from keras_se.layers import GATES, SqueezeExcite

SMALL = {"weights": None, "input_shape": (32, 32, 3), "classes": 5}
IMAGES = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
WIDTHS = [(name, alpha) for name in ("MobileNet", "SEMobileNet") for alpha in (0.25, 0.5, 0.75)]


@pytest.mark.parametrize("name, alpha", WIDTHS)
def test_narrower_networks_have_the_figures_of_their_table(name, alpha):
    figures = mobilenet.SPECS_BY_WIDTH[name](alpha).variants["keras"]
    cost = profile(getattr(mobilenet, name)(weights=None, alpha=alpha))
    assert cost.parameters == figures.parameters
    assert cost.gmacs == pytest.approx(figures.gmacs, abs=5e-5)


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_totals_are_those_of_keras_applications(alpha):
    theirs = keras.applications.MobileNet(weights=None, alpha=alpha)
    assert MobileNet(weights=None, alpha=alpha).count_params() == theirs.count_params()


def test_se_mobilenet_has_the_papers_cost():
    # Table 3 of Hu et al.: 4.7 M parameters, 572 M multiply-adds with those of the squeeze.
    model = SEMobileNet(weights=None)
    cost = profile(model)
    gates = [layer for layer in model.layers if isinstance(layer, SqueezeExcite)]
    squeeze = sum(np.prod(gate.input.shape[1:]) for gate in gates)
    assert round(cost.parameters / 1e6, 1) == 4.7
    assert round((cost.macs + squeeze) / 1e6) == 572


def test_se_vgg_has_the_papers_cost():
    # Table 2 of Hu et al.: 15.47 GFLOPs without gates, 15.48 with them and their squeezes.
    model = SEVGG16BN(weights=None, include_top=False, input_shape=(224, 224, 3))
    gates = [layer for layer in model.layers if isinstance(layer, SqueezeExcite)]
    assert len(gates) == 13
    squeeze = sum(np.prod(gate.input.shape[1:]) for gate in gates) / 1e9
    figures = SEVGG16BN.spec.variants["v1"]
    assert round(figures.gmacs, 2) == 15.47
    assert round(figures.gmacs + squeeze, 2) == 15.48


@pytest.mark.parametrize("gate", GATES)
def test_every_gate_fits(gate):
    model = MobileNet(**SMALL, attention=gate, alpha=0.5)
    assert np.isfinite(model(IMAGES)).all()
    assert sum(isinstance(layer, GATES[gate]) for layer in model.layers) == 13


@pytest.mark.parametrize("pair", [(MobileNet, SEMobileNet), (VGG16BN, SEVGG16BN)])
def test_identity_start(pair):
    small = SMALL | {"include_top": False, "pooling": "avg"}
    plain, gated = pair[0](**small), pair[1](**small, gate="sigmoid2")
    ungated = [w for w in gated.weights if "_gate/" not in w.path]
    for weight, source in zip(ungated, plain.weights, strict=True):
        weight.assign(source)
    np.testing.assert_allclose(gated(IMAGES), plain(IMAGES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", [SEMobileNet, SEVGG16BN])
def test_smallest_pictures(network):
    assert network(**SMALL | {"include_top": False}).output_shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match="at least 32"):
        network(weights=None, input_shape=(31, 32, 3))


def test_vgg_classifier_needs_a_known_size():
    with pytest.raises(ValueError, match="Received: last feature map of shape"):
        VGG16BN(weights=None, input_shape=(None, None, 3))
    assert VGG16BN(weights=None, include_top=False).output_shape == (None, None, None, 512)


def test_vgg_stages():
    model = SEVGG16BN(**SMALL, include_top=False, stages=(4, 5))
    stages = {w.path[:6] for w in model.weights if "_gate/" in w.path}
    assert stages == {"stage4", "stage5"}


@pytest.mark.parametrize("alpha", [0, -1.0, True, False, 17])
def test_bad_widths(alpha):
    with pytest.raises(ValueError, match=f"alpha={alpha}"):
        MobileNet(weights=None, alpha=alpha)


def test_width_is_part_of_the_signature():
    alpha = inspect.signature(SEMobileNet).parameters["alpha"]
    assert (alpha.kind, alpha.default) == (alpha.KEYWORD_ONLY, 1.0)
    assert "alpha: float" in SEMobileNet.__doc__
    with pytest.raises(TypeError, match="depth_multiplier"):
        SEMobileNet(weights=None, depth_multiplier=2)


def test_saving(tmp_path):
    model = SEMobileNet(**SMALL, alpha=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
