"""Logits of the trusted implementations, with deterministic stand-in weights.

tests/parity/reference.npz was made with timm 1.0.31 in PyTorch (cbam_resnet50: the
authors' code) in evaluation mode; both sides compute the weights from key and shape.
"""

import json
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import applications
from keras_se.applications import ARCHITECTURES, from_state_dict
from keras_se.applications.weights.layout import Layout

FOLDER = Path(__file__).with_name("parity")
REFERENCE = json.loads((FOLDER / "reference.json").read_text())
LOGITS = np.load(FOLDER / "reference.npz")


def tensor(key, shape):
    """The weights of one state-dict entry, in PyTorch's layout."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if len(shape) >= 2:
        gain = 2.0 if len(shape) == 4 else 1.0
        deviation = np.sqrt(gain / int(np.prod(shape[1:])))
        return (rng.standard_normal(shape) * deviation).astype("float32")
    if key.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    if key.endswith("weight"):
        return rng.uniform(0.4, 0.8, shape).astype("float32")
    return (rng.standard_normal(shape) * 0.1).astype("float32")


def state_dict(name):
    return {key: tensor(key, tuple(shape)) for key, shape in REFERENCE[name]["state_dict"].items()}


def image_batch(size):
    return np.random.default_rng(size).standard_normal((2, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", sorted(REFERENCE.keys() & ARCHITECTURES.keys()))
def test_logits(name):
    size = REFERENCE[name]["image_size"]
    model = from_state_dict(
        name, state_dict(name), input_shape=(size, size, 3), classifier_activation=None
    )
    # 1e-6 measured; a wrong pad, stride or order gives 1e-1
    np.testing.assert_allclose(model(image_batch(size)), LOGITS[f"{name}/logits"], atol=2e-5)


def test_counters_are_ignored_and_misfits_listed():
    weights = state_dict("legacy_seresnet18")
    counter = {"layer0.bn1.num_batches_tracked": np.array(3)}
    from_state_dict("legacy_seresnet18", weights | counter, input_shape=(32, 32, 3))

    moved = dict(weights)
    moved["layer9.weight"] = moved.pop("layer0.conv1.weight")
    moved["last_linear.bias"] = np.zeros(10, "float32")
    with pytest.raises(ValueError) as error:
        from_state_dict("legacy_seresnet18", moved, input_shape=(32, 32, 3))
    message = str(error.value)
    assert "missing: layer0.conv1.weight" in message
    assert "left over: layer9.weight" in message
    assert "shape: last_linear.bias is (10,)" in message


def test_unknown_architecture_lists_the_known_ones():
    with pytest.raises(ValueError, match="legacy_seresnet50"):
        from_state_dict("seresnet51", {})


# Trainable parameters of timm 1.0.31 and of the authors' CBAM; keys by layer1.0's names.
KEYS = {
    "resnet50": "layer4.2.bn3.running_var",
    "seresnet152d": "layer2.0.downsample.2.weight",
    "seresnext26t_32x4d": "conv1.4.running_mean",
    "legacy_seresnet34": "layer1.0.se_module.fc1.weight",
    "legacy_seresnext50_32x4d": "layer0.conv1.weight",
    "senet154": "conv1.6.weight",
    "skresnet34": "layer4.2.conv1.attn.fc_reduce.weight",
    "cbam_resnet18": "layer1.0.cbam.SpatialGate.spatial.bn.bias",
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_further_architectures(name):
    entry = ARCHITECTURES[name]
    constructor = getattr(applications, entry.network)
    with keras.StatelessScope(initialize_variables=False):  # names need no numbers
        model = constructor(variant=entry.variant, weights=None, input_shape=(32, 32, 3))
    layout = Layout(entry, constructor.spec)
    keys = [layout.key(weight.path) for weight in model.weights]
    assert KEYS[name] in keys
    assert len(set(keys)) == len(keys)
    assert not [key for key in keys if "/" in key]
