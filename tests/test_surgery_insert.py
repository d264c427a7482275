"""`keras_se.insert`: the same function as before, gates that train, and what is refused."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_se
from keras_se import surgery, tflite
from keras_se.applications import ResNetCIFAR, SEResNetCIFAR
from keras_se.layers import GATES

random = np.random.default_rng(0)
IMAGES = random.normal(size=(4, 32, 32, 3)).astype("float32")


def mobilenet(**options):
    """As small as keras.applications has it, with statistics that matter; returns logits."""
    arguments = {"weights": None, "alpha": 0.35, "input_shape": (32, 32, 3), "classes": 10}
    model = keras.applications.MobileNetV2(**arguments | options, classifier_activation=None)
    return randomise(model)


def randomise(model):
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if weight.name in ("gamma", "beta", "moving_mean", "moving_variance", "bias"):
            offset = 1.0 if weight.name in ("gamma", "moving_variance") else 0.0
            weight.assign(rng.uniform(-0.3, 0.3, weight.shape) + offset)
    return model


def small(**names):
    """Two convolutions and a head."""
    images = keras.Input((16, 16, 3), name="images")
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv1")(images)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, keras.layers.Dense(3, name="head")(x), name="small")


def run(model, images=IMAGES):
    return ops.convert_to_numpy(model(images, training=False))


def names_of(model, kind="se"):
    return [layer.name for layer in model.layers if isinstance(layer, GATES[kind])]


def assert_same_function(model, other, images=IMAGES):
    expected = run(model, images)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(run(other, images), expected, rtol=0, atol=1e-6)


OPTIONS = [
    # An extent of 2: in a chain of depthwise convolutions and BatchNorms a scale of the
    # first ones has no effect, hence no gradient.
    *((name, {"extent": 2} if name == "ge" else {}) for name in GATES),
    ("se", {"gate_function": "relu"}),
    ("channel", {"gate_function": "relu"}),
    ("spatial", {"gate_function": "relu"}),
    ("scse", {"combine": "max", "gate_function": "sigmoid2"}),
    ("ge", {"variant": "theta+", "extent": 2}),
    ("bam", {"combine": "product"}),
]


@pytest.mark.parametrize(("gate", "options"), OPTIONS)
def test_every_gate_starts_as_the_identity_and_trains(gate, options):
    model = small()
    images = IMAGES[:, :16, :16]
    gated = keras_se.insert(model, gate, after="conv1", **options)
    assert_same_function(model, gated, images)
    layer = gated.get_layer(f"conv1_{gate}")
    x = random.normal(size=(4, 14, 14, 8)).astype("float32")
    np.testing.assert_allclose(layer(x, training=True), x, rtol=0, atol=1e-6)
    before = [ops.convert_to_numpy(w) for w in layer.trainable_weights]
    gated.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=True)
    gated.train_on_batch(images, random.normal(size=(4, 3)))
    after = [ops.convert_to_numpy(w) for w in layer.trainable_weights]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    for _ in range(3):
        gated.train_on_batch(images, random.normal(size=(4, 3)))
    for weight, old in zip(layer.trainable_weights, before, strict=True):
        assert not np.array_equal(ops.convert_to_numpy(weight), old), weight.path


def test_the_last_layer_of_se_trains_from_the_first_step_the_first_from_the_second():
    model = keras_se.insert(small(), "se", after="conv1", ratio=2)
    gate = model.get_layer("conv1_se")
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    moved = []
    for _ in range(2):
        before = [ops.convert_to_numpy(layer.kernel) for layer in (gate.reduce, gate.expand)]
        model.train_on_batch(IMAGES[:, :16, :16], random.normal(size=(4, 3)))
        after = [ops.convert_to_numpy(layer.kernel) for layer in (gate.reduce, gate.expand)]
        moved.append([not np.array_equal(a, b) for a, b in zip(before, after, strict=True)])
    assert moved == [[False, True], [True, True]]


@pytest.mark.parametrize("after", ["residual", "stage"])
def test_presets_of_mobilenet(after):
    model = mobilenet()
    gated = keras_se.insert(model, after=after)
    assert_same_function(model, gated)
    expected = {"residual": 10, "stage": 5}  # blocks of stride 1 that keep the width
    assert len(names_of(gated)) == expected[after]


def test_presets_of_resnet50():
    model = randomise(
        keras.applications.ResNet50(
            weights=None, input_shape=(32, 32, 3), classes=10, classifier_activation=None
        )
    )
    gated = keras_se.insert(model, after="residual")
    assert_same_function(model, gated)
    assert names_of(gated) == [
        f"conv{stage}_block{block}_3_bn_se"
        for stage, depth in ((2, 3), (3, 4), (4, 6), (5, 3))
        for block in range(1, depth + 1)
    ]
    assert surgery.PRESETS["stage"](model)[-1].operation.name == "conv5_block3_out"


def test_must_show_insert_train_save_and_convert(tmp_path):
    model = mobilenet()
    gated = keras_se.insert(model, "se", after="depthwise")
    assert_same_function(model, gated)
    assert len(names_of(gated)) == 17  # the blocks
    gate = gated.get_layer("expanded_conv_depthwise_relu_se")
    before = [ops.convert_to_numpy(w) for w in gate.weights]
    gated.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    gated.train_on_batch(IMAGES, np.arange(4))
    assert not np.array_equal(gate.expand.kernel, before[2])
    gated.save(tmp_path / "gated.keras")
    loaded = keras.saving.load_model(tmp_path / "gated.keras")
    np.testing.assert_array_equal(run(loaded), run(gated))
    if keras.backend.backend() == "tensorflow":
        result = tflite.convert(loaded, "static_int8", IMAGES)
        assert result.report.comparison.snr_db > 10


def test_the_old_model_is_neither_changed_nor_shared():
    model = small()
    before = model.get_weights()
    gated = keras_se.insert(model, after="conv1")
    gated.compile("sgd", "mse", run_eagerly=True)
    gated.train_on_batch(IMAGES[:, :16, :16], random.normal(size=(4, 3)))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not {id(w) for w in model.weights} & {id(w) for w in gated.weights}
    assert [layer.name for layer in model.layers] == ["images", "conv1", "conv2", "pool", "head"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("conv2", ["conv2_se"]),
        (["conv2", "conv1"], ["conv1_se", "conv2_se"]),
        (re.compile(r"v1$"), ["conv1_se"]),
        (lambda layer: isinstance(layer, keras.layers.Conv2D), ["conv1_se", "conv2_se"]),
        (lambda layer: len(layer.output.shape) == 4, ["conv1_se", "conv2_se"]),  # not the input
        ("stage", ["conv1_se", "conv2_se"]),
    ],
)
def test_ways_to_say_where(after, expected):
    model = small()
    gated = keras_se.insert(model, after=after)
    assert names_of(gated) == expected
    assert_same_function(model, gated, IMAGES[:, :16, :16])


@pytest.mark.parametrize("relu", [keras.activations.relu, ops.relu, keras.layers.ReLU()])
def test_every_form_of_a_relu_belongs_to_the_depthwise_convolution(relu):
    images = keras.Input((8, 8, 3))
    x = relu(keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3)(images)))
    model = keras.Model(images, keras.layers.Conv2D(4, 1)(x))
    gated = keras_se.insert(model, after="depthwise")
    [gate] = [layer for layer in gated.layers if isinstance(layer, GATES["se"])]
    assert type(gate.input._keras_history.operation).__name__.lower() == "relu"


def test_start_none_keeps_the_usual_initialisation_and_options_reach_the_gate():
    gated = keras_se.insert(small(), "se", "conv1", ratio=4, start=None, gate_function="tanh")
    gate = gated.get_layer("conv1_se")
    assert gate.ratio == 4 and gate.gate == "tanh" and np.any(gate.expand.kernel)
    assert keras_se.insert(small(), "se", "conv1").get_layer("conv1_se").ratio == 1  # 8 units


def test_a_second_gate_gets_a_name_of_its_own():
    twice = keras_se.insert(keras_se.insert(small(), after="conv1"), after="conv1")
    assert names_of(twice) == ["conv1_se_1", "conv1_se"]


def test_an_image_model_stays_one_and_its_tails_take_the_gates(tmp_path):
    model = randomise(ResNetCIFAR(8, classifier_activation=None))
    gated = keras_se.insert(model, "se", after="residual", ratio=4)
    assert type(gated) is type(model) and gated.preprocess == model.preprocess
    assert_same_function(model, gated)
    tails = [layer for layer in gated.layers if isinstance(layer, keras_se.layers.ResidualTail)]
    assert [tail.gate.ratio for tail in tails] == [4, 4, 4]
    tails[0].gate.expand.bias.assign(np.ones(16))
    gated.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(run(loaded), run(gated))
    with pytest.raises(ValueError, match=r"stage2_block1_tail.*gate already.*SqueezeExcite"):
        keras_se.insert(SEResNetCIFAR(8), after="residual")


def test_nested_and_shared_models_and_several_inputs_and_outputs(tmp_path):
    backbone = small()
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    shared = keras.layers.Conv2D(3, 1, name="shared")
    features = [backbone(shared(side), training=False) for side in (left, right)]
    outputs = {"sum": keras.layers.Add(name="sum")(features), "left": features[0] * 2.0}
    model = keras.Model({"left": left, "right": right}, outputs)
    pair = {"left": IMAGES[:, :16, :16], "right": IMAGES[:, 16:, 16:]}
    gated = keras_se.insert(model, after=["small/conv1", "shared"])
    assert names_of(gated) == ["shared_se"] and names_of(gated.get_layer("small")) == ["conv1_se"]
    assert len(gated.get_layer("shared_se")._inbound_nodes) == 2
    gated.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    expected, found, again = (m(pair, training=False) for m in (model, gated, loaded))
    for name in ("sum", "left"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)
        np.testing.assert_allclose(again[name], expected[name], rtol=0, atol=1e-6)


def test_gates_train_in_a_frozen_backbone():
    backbone = small()
    backbone.trainable = False
    images = keras.Input((16, 16, 3))
    model = keras.Model(images, keras.layers.Dense(2, name="new")(backbone(images)))
    gated = keras_se.insert(model, after="small/conv2")
    trained = {weight.path.split("/")[0] for weight in gated.trainable_weights}
    assert trained == {"conv2_se", "new"}


def test_a_sequential_model_becomes_a_functional_one():
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3, name="conv"), keras.layers.Flatten()]
    )
    gated = keras_se.insert(model, "eca", after="conv")
    assert_same_function(model, gated, IMAGES[:, :16, :16])
    assert [layer.name for layer in gated.layers][1:3] == ["conv", "conv_eca"]


def test_half_precision_follows_the_layer(mixed_float16):
    model = small()
    gated = keras_se.insert(model, after="conv1")
    assert gated.get_layer("conv1_se").compute_dtype == "float16"
    np.testing.assert_array_equal(run(gated, IMAGES[:, :16, :16]), run(model, IMAGES[:, :16, :16]))


class Subclassed(keras.Model):
    pass


class Unbuildable(keras.layers.Layer):
    def __init__(self, function):
        super().__init__(name="unbuildable")
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def with_unbuildable():
    images = keras.Input((16, 16, 3))
    return keras.Model(images, keras.layers.Conv2D(4, 3, name="c")(Unbuildable(abs)(images)))


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (small, {"after": "conv"}, r"no layer is called 'conv'.*conv1.*\['depthwise'"),
        (small, {"after": ["conv1", "x"]}, "no layer is called 'x'"),
        (small, {"after": re.compile("x{9}")}, "matches no layer of 'small'"),
        (small, {"after": "depthwise"}, "'depthwise' fits no layer of 'small': after each"),
        (small, {"after": "images"}, "'images' is an input"),
        (small, {"after": "head"}, r"'head' offers no feature map.*\(None, 3\)"),
        (small, {"gate": "sa"}, r"Unknown gate.*'se'"),
        (small, {"after": "conv1", "start": "zero"}, "identity.*Received: start='zero'"),
        (small, {"after": "conv1", "gate": "ge", "variant": "theta-"}, "no parameters"),
        (small, {"after": "conv1", "gate": "bam", "combine": "x"}, "(?s)Unknown combine"),
        (Subclassed, {"after": "conv1"}, "Subclassed.*is subclassed"),
        (with_unbuildable, {"after": "c"}, r"'unbuildable' of type Unbuildable cannot be copied"),
    ],
)
def test_what_cannot_be_done_says_why(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_se.insert(model(), **arguments)


@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid", "tanh", "clip"])
def test_gate_functions_without_a_start_are_refused(gate):
    with pytest.raises(ValueError, match=rf"gate_function='{gate}' cannot start as the identity"):
        keras_se.insert(small(), after="conv1", gate_function=gate)


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match=r"takes \[.*'ratio'.*Received: ratoi"):
        keras_se.insert(small(), after="conv1", ratoi=4)
    with pytest.raises(TypeError, match="Received: ratio"):
        keras_se.insert(small(), "eca", after="conv1", ratio=4)
    with pytest.raises(TypeError, match="Received: after=7"):
        keras_se.insert(small(), after=7)
