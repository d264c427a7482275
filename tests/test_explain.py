"""The gates that `explain.gates` records are those that the layers compute."""

import keras
import numpy as np
import pytest

from keras_se import explain, layers
from keras_se.applications import SEResNetCIFAR

CHANNEL_GATES = [name for name, kind in layers.GATES.items() if hasattr(kind, "excite")]
random = np.random.default_rng(0)
IMAGES = random.normal(size=(5, 32, 32, 3)).astype("float32")


def expected(gate, feature_map):
    """(n, channels) from the layer's own public method."""
    return keras.ops.convert_to_numpy(gate.excite(feature_map))[:, 0, 0]


def inputs_of(model, layer, images):
    return keras.Model(model.inputs[0], layer.input)(images, training=False)


@pytest.mark.parametrize("name", CHANNEL_GATES)
def test_a_gate_as_an_ordinary_layer(name):
    gate = layers.GATES[name](name="attention")
    conv = keras.layers.Conv2D(32, 3, strides=2)
    model = keras.Sequential([keras.Input((32, 32, 3)), conv, gate])
    found = explain.gates(model, IMAGES, batch_size=2)
    assert list(found) == ["attention"] and found["attention"].stage is None
    reference = expected(gate, inputs_of(model, gate, IMAGES))
    np.testing.assert_allclose(found["attention"].values, reference, rtol=1e-5)


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity", "inner"])
@pytest.mark.parametrize("name", CHANNEL_GATES)
def test_every_gate_of_a_network_is_found(name, placement):
    model = SEResNetCIFAR(8, attention=name, placement=placement)
    found = explain.gates(model, IMAGES[:1])
    assert [gate.stage for gate in found.values()] == [2, 3, 4]
    assert [gate.values.shape[1] for gate in found.values()] in ([16, 32, 64], [16, 16, 32])


@pytest.mark.parametrize("name", CHANNEL_GATES)
def test_inside_a_residual_tail_the_input_is_the_normalised_residual(name):
    model = SEResNetCIFAR(8, attention=name)
    for weight in model.weights:  # statistics and biases that matter
        if "moving" in weight.path or "bias" in weight.path:
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    found = explain.gates(model, IMAGES)
    for stage in (2, 3, 4):
        tail = model.get_layer(f"stage{stage}_block1_tail")
        residual = inputs_of(model, tail, IMAGES)[0]
        values = found[f"{tail.name}/gate"].values
        reference = expected(tail.gate, tail.gate_input(residual, training=False))
        np.testing.assert_allclose(values, reference, rtol=1e-4)  # two orders of summation
        assert values.std() > 0


def test_inside_cbam():
    model = SEResNetCIFAR(8, attention="cbam")
    found = explain.gates(model, IMAGES)
    tail = model.get_layer("stage4_block1_tail")
    feature_map = tail.gate_input(inputs_of(model, tail, IMAGES)[0], training=False)
    reference = expected(tail.gate.channel, feature_map)
    assert list(found)[-1] == "stage4_block1_tail/gate/channel"
    np.testing.assert_allclose(found["stage4_block1_tail/gate/channel"].values, reference, 1e-5)


def test_nested_models_and_shared_layers():
    gate = layers.SqueezeExcite(ratio=1, name="se")
    inner = keras.Sequential([keras.Input((32, 32, 3)), gate], name="inner")
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, inner(inner(images)))
    found = explain.gates(model, IMAGES)
    assert list(found) == ["inner/se", "inner/se#2"]
    np.testing.assert_allclose(found["inner/se"].values, expected(gate, IMAGES), rtol=1e-5)
    np.testing.assert_allclose(found["inner/se#2"].values, expected(gate, gate(IMAGES)), rtol=1e-5)


def test_names_survive_saving(tmp_path):
    model = SEResNetCIFAR(8)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    before, after = explain.gates(model, IMAGES), explain.gates(loaded, IMAGES)
    assert list(before) == list(after)
    for name in before:
        np.testing.assert_allclose(after[name].values, before[name].values, rtol=1e-6)


def test_the_model_is_left_as_it_was():
    model = SEResNetCIFAR(8)
    gate = model.get_layer("stage2_block1_tail").gate
    attributes = set(vars(gate))
    outputs = model(IMAGES)
    explain.gates(model, IMAGES)
    with pytest.raises(Exception, match="shape"):
        explain.gates(model, np.ones((1, 32, 32, 4)))
    assert set(vars(gate)) == attributes
    np.testing.assert_array_equal(model(IMAGES), outputs)


def test_a_model_without_channel_gates_has_none():
    assert explain.gates(SEResNetCIFAR(8, attention="spatial"), IMAGES[:1]) == {}


def test_mean_by_class():
    gates = explain.ChannelGates("se", None, np.array([[1, 2], [3, 4], [8, 9]], "float32"))
    means = gates.mean_by_class([1, 1, 0], classes=3)
    np.testing.assert_array_equal(means, [[8, 9], [2, 3], [np.nan, np.nan]])
    with pytest.raises(ValueError, match=r"3 integers, one per image. .*\(2,\)"):
        gates.mean_by_class([1, 1], classes=3)


@pytest.mark.parametrize(
    ("images", "batch_size", "message"),
    [
        (IMAGES[0], 1, r"\(n, height, width, channels\).*\(32, 32, 3\)"),
        (IMAGES[:0], 1, r"n >= 1.*\(0, 32, 32, 3\)"),
        (IMAGES, 0, r"at least 1.*batch_size=0"),
    ],
)
def test_bad_arguments(images, batch_size, message):
    with pytest.raises(ValueError, match=message):
        explain.gates(SEResNetCIFAR(8), images, batch_size)
