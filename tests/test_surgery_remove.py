"""`keras_se.remove` and `keras_se.prune_gates`: constants where gates were."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_se
from keras_se import explain
from keras_se.applications import SEResNetCIFAR
from keras_se.layers import GATES
from keras_se.surgery.found_gates import GATE_LAYERS
from keras_se.surgery.gate_values import constant

random = np.random.default_rng(0)
IMAGES = random.normal(size=(6, 16, 16, 3)).astype("float32")
CIFAR = random.normal(size=(6, 32, 32, 3)).astype("float32")


def run(model, images=IMAGES):
    return ops.convert_to_numpy(model(images, training=False))


def outputs(model):
    return [ops.convert_to_numpy(t) for t in keras.tree.flatten(model(IMAGES, training=False))]


def gates_of(model):
    return [layer for layer in model.layers if isinstance(layer, GATE_LAYERS)]


def make_constant(gate, channels):
    """Random biases where `insert` puts constants."""
    biases = {
        "se": lambda g: [g.expand.bias],
        "channel": lambda g: [g.expand.bias],
        "cbam": lambda g: [g.channel.expand.bias, g.spatial.norm.beta],
        "spatial": lambda g: [g.norm.beta],
        "ese": lambda g: [g.dense.bias],
        "sse": lambda g: [g.squeeze.bias],
        "scse": lambda g: [g.channel.expand.bias, g.spatial.squeeze.bias],
        "ge": lambda g: [g.norms[-1].beta],
        "gc": lambda g: [g.expand.bias],
        "coord": lambda g: [g.rows.bias, g.columns.bias],
        "bam": lambda g: [g.channel[-1].beta, g.spatial[-1].beta],
        "eca": lambda g: [],  # without a bias: 1 it is
    }
    name = next(name for name, kind in GATES.items() if type(gate) is kind)
    for bias in biases[name](gate):
        bias.assign(random.uniform(-1, 1, bias.shape))


def sequence(*parts):
    """A functional model: `parts` one after the other, weights that matter."""
    images = x = keras.Input((16, 16, 3))
    for part in parts:
        x = part(x)
    model = keras.Model(images, x)
    for weight in model.weights:
        if weight.name not in ("kernel",):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return model


def conv(name, filters=8, **options):
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


@pytest.mark.parametrize("gate", GATES)
def test_what_insert_put_in_comes_out_again(gate):
    options = {"extent": 2} if gate == "ge" else {}
    model = sequence(conv("conv"), layers.ReLU(name="relu"), conv("last"))
    back = keras_se.remove(keras_se.insert(model, gate, after="relu", **options))
    assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(run(back), run(model))


@pytest.mark.parametrize("gate", GATES)
def test_a_constant_is_folded_exactly(gate):
    options = {"extent": 2} if gate == "ge" else {}
    model = keras_se.insert(sequence(conv("conv"), conv("last")), gate, after="conv", **options)
    [layer] = gates_of(model)
    make_constant(layer, 8)
    removed = keras_se.remove(model)
    assert [each.name for each in removed.layers[1:]] == ["conv", "last"]
    np.testing.assert_allclose(run(removed), run(model), rtol=1e-5, atol=1e-5)
    assert not np.allclose(run(removed), run(sequence(conv("conv"), conv("last"))))
    x = random.normal(size=(2, 5, 5, 8)).astype("float32")
    value = constant(layer, 8)
    np.testing.assert_allclose(layer(x), x * value.scale + value.shift, rtol=1e-5, atol=1e-6)


FOLDS = {  # layers before and behind the gate, and what is left in its place
    "norm": ([conv("c"), layers.BatchNormalization(name="n")], [], None),
    "norm through relu": ([conv("c"), layers.BatchNormalization(), layers.ReLU()], [], None),
    "conv through pooling": ([conv("c"), layers.MaxPooling2D()], [], None),
    "depthwise": ([layers.DepthwiseConv2D(3, name="d", depth_multiplier=2)], [], None),
    "behind relu6": ([conv("c"), layers.ReLU(6.0)], [conv("last")], None),
    "nowhere": ([conv("c"), layers.ReLU(6.0)], [layers.ReLU()], layers.Rescaling),
    "activation": ([conv("c", activation="relu")], [], layers.Rescaling),
    "tanh": ([conv("c"), layers.Activation("tanh")], [], layers.Rescaling),
    "threshold": ([conv("c"), layers.ReLU(threshold=0.1)], [], layers.Rescaling),
    "norm without scale": ([layers.BatchNormalization(scale=False)], [], layers.Rescaling),
    "groups": ([conv("c"), layers.ReLU(6.0)], [conv("last", groups=2)], layers.Rescaling),
}


@pytest.mark.parametrize("case", FOLDS)
def test_where_constants_go(case):
    before, behind, left = FOLDS[case]
    before, behind = ([type(p).from_config(p.get_config()) for p in q] for q in (before, behind))
    model = keras_se.insert(sequence(*before, *behind), after=before[-1].name)
    [gate] = gates_of(model)
    make_constant(gate, gate.expand.units)
    removed = keras_se.remove(model)
    kinds = [type(layer) for layer in removed.layers]
    assert not gates_of(removed)
    assert (layers.Rescaling in kinds) == (left is not None)
    assert len(kinds) == len(model.layers) - (left is None)
    np.testing.assert_allclose(run(removed), run(model), rtol=1e-5, atol=1e-5)


def constant_gate(kind="se", **options):
    gate = GATES[kind](ratio=4, **options)
    gate.build((None, 16, 16, 8))
    gate.expand.kernel.assign(ops.zeros_like(gate.expand.kernel))
    make_constant(gate, 8)
    return gate


def last_called_twice(images):
    x, last = layers.ReLU(6.0)(conv("c")(images)), conv("last")
    return last(constant_gate()(x)), last(layers.ReLU()(x))


def first_called_twice(images):
    first = conv("c")
    return constant_gate()(first(images)), first(layers.ReLU()(images))


def read_by_another(images):
    x = conv("c")(images)
    return constant_gate()(x), layers.ReLU()(x)


def an_output_too(images):
    x = conv("c")(images)
    return constant_gate()(x), x


STAYING = {
    "last called twice": last_called_twice,
    "first called twice": first_called_twice,
    "read by another": read_by_another,
    "an output too": an_output_too,
    "negative behind relu": lambda x: constant_gate(gate="tanh")(layers.ReLU()(conv("c")(x))),
    "shift without bias": lambda x: constant_gate("gc")(conv("c", use_bias=False)(x)),
    "shift behind relu": lambda x: constant_gate("gc")(layers.ReLU()(conv("c")(x))),
    "shift before padding": lambda x: conv("last")(
        constant_gate("gc")(layers.ReLU(6.0)(conv("c")(x)))
    ),
}


@pytest.mark.parametrize("case", STAYING)
def test_a_constant_that_fits_no_neighbour_stays_a_scaling(case):
    images = keras.Input((16, 16, 3))
    model = keras.Model(images, STAYING[case](images))
    removed = keras_se.remove(model)
    assert not gates_of(removed)
    assert sum(isinstance(layer, layers.Rescaling) for layer in removed.layers) == 1
    for found, expected in zip(outputs(removed), outputs(model), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("relu", [keras.activations.relu, ops.relu])
def test_a_constant_passes_a_relu_that_is_a_function(relu):
    model = keras_se.insert(sequence(conv("c"), layers.BatchNormalization(), relu), after="c")
    [gate] = gates_of(model)
    x = relu(model.get_layer("c").output)
    model = keras.Model(model.inputs, gate(x))
    make_constant(gate, 8)
    removed = keras_se.remove(model)
    assert [type(layer) for layer in removed.layers[1:2]] == [layers.Conv2D]
    assert layers.Rescaling not in [type(layer) for layer in removed.layers]
    np.testing.assert_allclose(run(removed), run(model), rtol=1e-5, atol=1e-5)


def test_trained_gates_stay_unless_named():
    model = keras_se.insert(sequence(conv("a"), conv("b"), conv("c")), after=["a", "b"])
    trained, constant_one = gates_of(model)
    trained.expand.kernel.assign(random.normal(size=trained.expand.kernel.shape))
    make_constant(constant_one, 8)
    removed = keras_se.remove(model)
    assert [gate.name for gate in gates_of(removed)] == ["a_se"]
    np.testing.assert_allclose(run(removed), run(model), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="'a_se' of type SqueezeExcite is not constant"):
        keras_se.remove(model, "a_se")
    with pytest.raises(ValueError, match="'a' of type Conv2D is no gate"):
        keras_se.remove(model, "a")


def test_gates_in_tails_are_named_by_the_paths_that_reports_show():
    model = keras_se.insert(SEResNetCIFAR(8, weights=None, attention=None))
    path, *_ = explain.gates(model, CIFAR)
    assert path == "stage2_block1_tail/gate"
    one = model.get_layer("stage2_block1_tail").gate
    make_constant(one, 16)
    for layers_ in (path, [path], re.compile("2_block1_tail/gate"), lambda layer: layer is one):
        removed = keras_se.remove(model, layers_)
        assert removed.get_layer("stage2_block1_tail").gate is None
        assert removed.get_layer("stage3_block1_tail").gate is not None
    with pytest.raises(ValueError, match="matches no gate"):
        keras_se.remove(model, re.compile("conv"))


def almost_constant_tails(**options):
    """SE-ResNet-8 whose gate of stage 4 hardly varies."""
    model = SEResNetCIFAR(8, classifier_activation=None, **options)
    for weight in model.weights:
        if weight.name in ("gamma", "beta", "moving_mean", "moving_variance", "bias"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    gate = model.get_layer("stage4_block1_tail").gate
    gate.expand.kernel.assign(gate.expand.kernel * 1e-4)
    return model


def test_prune_gates_in_tails(tmp_path):
    model = almost_constant_tails()
    pruned, report = keras_se.prune_gates(model, CIFAR, threshold=1e-3, batch_size=4)
    assert report.pruned == ("stage4_block1_tail/gate",)
    assert [gate.pruned for gate in report.gates] == [False, False, True]
    assert report.gates[0].variation > 1e-3 > report.gates[2].variation > 0
    assert report.agreement == 1.0 and 0 < report.relative_error < 1e-3
    saved = 64 * 4 + 4 + 4 * 64 + 64
    assert report.parameters_before - report.parameters_after == saved
    assert report.macs_before - report.macs_after == 2 * 64 * 4
    np.testing.assert_allclose(run(pruned, CIFAR), run(model, CIFAR), rtol=1e-3)
    assert pruned.get_layer("stage4_block1_tail").gate is None and type(pruned) is type(model)
    assert "stage4_block1_tail/gate" in str(report) and "100.0%" in str(report)
    pruned.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(run(loaded, CIFAR), run(pruned, CIFAR))


def test_the_mean_of_all_pictures_takes_the_place():
    """With every gate pruned, the model computes with the means of the gates."""
    model = keras_se.insert(sequence(conv("conv")), after="conv")
    [gate] = gates_of(model)
    gate.expand.kernel.assign(random.normal(size=gate.expand.kernel.shape))
    pruned, report = keras_se.prune_gates(model, IMAGES, threshold=10.0, batch_size=4)
    maps = keras.Model(model.input, model.get_layer("conv").output)(IMAGES)
    values = ops.convert_to_numpy(gate.excite(maps))
    np.testing.assert_allclose(run(pruned), maps * values.mean(axis=0), rtol=1e-4, atol=1e-5)
    spread = np.sqrt(values.var(axis=0).mean() / np.square(values.mean(axis=0)).mean())
    np.testing.assert_allclose(report.gates[0].variation, spread, rtol=1e-5)
    assert report.gates[0].into == "convolution 'conv'" and report.agreement is None


@pytest.mark.parametrize("gate", GATES)
def test_prune_measures_every_gate_or_says_why_not(gate):
    options = {"extent": 2} if gate == "ge" else {}
    model = keras_se.insert(sequence(conv("conv")), gate, after="conv", start=None, **options)
    for weight in gates_of(model)[0].weights:
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(random.uniform(0.2 if positive else -0.5, 0.5, weight.shape))
    _, report = keras_se.prune_gates(model, IMAGES, threshold=0)
    [finding] = report.gates
    assert not finding.pruned
    if gate == "gc":
        assert finding.variation is None and "adds" in finding.into
    else:
        assert finding.variation > 0 and finding.into == "it varies"


def test_a_gate_that_is_no_number_stays():
    model = keras_se.insert(sequence(conv("conv")), after="conv")
    [gate] = gates_of(model)
    gate.expand.bias.assign(np.full(gate.expand.bias.shape, np.nan))
    _, report = keras_se.prune_gates(model, IMAGES, threshold=1e9)
    assert report.pruned == () and report.gates[0].into == "it varies"


@pytest.mark.parametrize("variant", ["theta", "theta+"])
def test_a_gather_over_the_whole_map_is_measured_on_that_map(variant):
    gate = keras_se.layers.GatherExcite(0, variant, ratio=4)
    model = sequence(conv("conv"), gate, layers.GlobalAveragePooling2D())
    _, report = keras_se.prune_gates(model, IMAGES, threshold=1e9)
    assert report.pruned == (gate.name,)
    assert explain.sensitivity(model, IMAGES, np.zeros(6, int)).left_out == ()


def test_a_negative_mean_behind_a_relu_stays():
    images = keras.Input((8, 8, 3))
    residual, gate = conv("conv")(images), keras_se.layers.SqueezeExcite(4, gate="tanh")
    tail = keras_se.layers.ResidualTail(gate, inner_activation="relu", name="tail")
    outputs = layers.GlobalAveragePooling2D()(tail([residual, residual]))
    model = keras.Model(images, outputs)
    gate.expand.bias.assign(np.linspace(-1, 1, 8))
    few = IMAGES[:, :8, :8]
    _, report = keras_se.prune_gates(model, few, threshold=1e9)
    assert report.pruned == () and "inner_activation='relu'" in report.gates[0].into
    assert explain.sensitivity(model, few, np.zeros(6, int)).left_out == (f"tail/{gate.name}",)
    gate.expand.bias.assign(np.full(8, 9.0))
    gate.trainable = False  # of which the tail without it knows nothing
    assert keras_se.prune_gates(model, few, threshold=1e9)[1].pruned == (f"tail/{gate.name}",)


def test_gates_in_nested_and_shared_models():
    inner = keras_se.insert(sequence(conv("conv", 3), layers.ReLU(name="relu")), after="relu")
    make_constant(gates_of(inner)[0], 3)
    images = keras.Input((16, 16, 3))
    model = keras.Model(images, inner(inner(images)))
    removed = keras_se.remove(model)
    assert not gates_of(removed.layers[1])
    np.testing.assert_allclose(run(removed), run(model), rtol=1e-4, atol=1e-5)
    pruned, report = keras_se.prune_gates(model, IMAGES)
    assert report.pruned == (f"{inner.name}/relu_se",)
    np.testing.assert_allclose(run(pruned), run(model), rtol=1e-4, atol=1e-5)


def test_what_prune_refuses():
    with pytest.raises(ValueError, match="no gates"):
        keras_se.prune_gates(sequence(conv("c")), IMAGES)
    model = keras_se.insert(sequence(conv("c")), after="c")
    for images in (iter(IMAGES), IMAGES.tolist()):
        with pytest.raises(TypeError, match=r"must be an array.*Received"):
            keras_se.prune_gates(model, images)
    with pytest.raises(ValueError, match="threshold=-1"):
        keras_se.prune_gates(model, IMAGES, threshold=-1)
    with pytest.raises(ValueError, match="0 pictures"):
        keras_se.prune_gates(model, IMAGES[:0])
    with pytest.raises(ValueError, match="batch_size=-1"):
        keras_se.prune_gates(model, IMAGES, batch_size=-1)
