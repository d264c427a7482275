"""`keras_se.replace`: selective kernels that start as the convolutions they replace."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_se
from keras_se.applications import ResNetCIFAR
from keras_se.layers import SelectiveKernelConv2D

IMAGES = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")


def block(padding="same", strides=1, size=3, norm=True, activation="relu", bias=False, **options):
    """A convolution, BatchNorm and activation, with weights that matter."""
    x = images = keras.Input((16, 16, 3))
    if padding == "explicit":
        x = keras.layers.ZeroPadding2D(options.get("dilation_rate", 1), name="pad")(x)
    conv = keras.layers.Conv2D(
        6,
        size,
        strides,
        padding="same" if padding == "same" else "valid",
        use_bias=bias,
        name="conv",
        **options,
    )
    x = conv(x)
    if norm:
        x = keras.layers.BatchNormalization(name="norm", scale=norm != "no scale")(x)
    if activation:
        x = keras.layers.Activation(activation, name="act")(x)
    x = keras.layers.Conv2D(4, 1, name="last")(x)
    model = keras.Model(images, x)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "kernel" not in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


EXACT = {
    "plain": {},
    "bias": {"bias": True},
    "no scale": {"norm": "no scale"},
    "no activation": {"activation": None},
    "explicit padding": {"padding": "explicit"},
    "explicit padding, stride 2": {"padding": "explicit", "strides": 2},
    "dilation": {"dilation_rate": 2},
    "explicit dilation": {"padding": "explicit", "dilation_rate": 2},
    "groups": {"groups": 3},
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", EXACT)
def test_the_new_layer_starts_as_the_old_one_in_training_too(case, training):
    model = block(**EXACT[case])
    changed = keras_se.replace(model, "conv")
    assert isinstance(changed.get_layer("conv"), SelectiveKernelConv2D)
    assert not {"norm", "act", "pad"} & {layer.name for layer in changed.layers}
    expected = ops.convert_to_numpy(model(IMAGES, training=training))
    found = ops.convert_to_numpy(changed(IMAGES, training=training))
    assert np.abs(expected).max() > 0.5
    # In training our BatchNorm reads mean and variance in one pass, Keras' in two.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5 if training else 1e-6)


@pytest.mark.parametrize("relu", [keras.activations.relu, ops.relu])
def test_functions_count_as_the_activation(relu):
    model = block(activation=None)
    norm = keras.Model(model.inputs, relu(model.get_layer("norm").output))
    changed = keras_se.replace(norm)
    assert changed.get_layer("conv").activation is keras.activations.relu
    assert len(changed.operations) == 2
    np.testing.assert_allclose(changed(IMAGES), norm(IMAGES), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("frozen", [("conv", "norm"), ("norm",)])
def test_what_was_frozen_stays_frozen_and_the_new_trains(frozen, tmp_path):
    model = block()
    for name in frozen:
        model.get_layer(name).trainable = False
    changed = keras_se.replace(model, "conv", branches=2)
    changed.save(tmp_path / "m.keras")
    for copy in (changed, keras.saving.load_model(tmp_path / "m.keras")):
        layer = copy.get_layer("conv")
        assert [not layer.convs[0].trainable, not layer.norms[0].trainable] == [
            "conv" in frozen,
            "norm" in frozen,
        ]
        new = [layer.convs[1], layer.norms[1], layer.reduce, layer.reduce_norm, layer.select]
        assert all(len(part.trainable_weights) for part in new)
        expected = ops.convert_to_numpy(model(IMAGES, training=True))
        np.testing.assert_allclose(copy(IMAGES, training=True), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("branches", [2, 3])
def test_all_weights_train_and_the_new_branches_do_from_the_first_step(branches, tmp_path):
    changed = keras_se.replace(block(), branches=branches, ratio=1, min_width=8)
    layer = changed.get_layer("conv")
    before = {w.path: ops.convert_to_numpy(w) for w in layer.trainable_weights}
    changed.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    target = np.random.default_rng(2).normal(size=(4, 16, 16, 4))

    def moved():
        changed.train_on_batch(IMAGES, target)
        weights = layer.trainable_weights
        return {w.path for w in weights if not np.array_equal(before[w.path], w)}

    first = {"conv/conv0/kernel", "conv/select/kernel"}
    first |= {f"conv/norm{i}/{name}" for i in range(branches) for name in ("gamma", "beta")}
    assert moved() == first
    assert moved() == set(before)
    changed.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(IMAGES), changed(IMAGES))


def test_half_precision_branches_are_alive_too(mixed_float16):
    layer = keras_se.replace(block()).get_layer("conv")
    outputs = layer.split(ops.cast(IMAGES, "float16"))[1]
    assert float(ops.min(outputs)) >= 2**-14  # the smallest normal number


def test_all_that_fit_and_options():
    model = ResNetCIFAR(8, classifier_activation=None)
    changed = keras_se.replace(model, kernel_sizes=(3, 5))
    named = keras_se.replace(model, iter(["stem_conv"]))
    assert isinstance(named.get_layer("stem_conv"), SelectiveKernelConv2D)
    found = [layer for layer in changed.layers if isinstance(layer, SelectiveKernelConv2D)]
    # Of stages 3 and 4, conv1 has a ZeroPadding2D before it; conv2 ends in a ResidualTail.
    assert [layer.name for layer in found] == [
        "stem_conv",
        *(f"stage{stage}_block1_conv1" for stage in (2, 3, 4)),
    ]
    assert all(layer.kernel_sizes == (3, 5) for layer in found)
    assert type(changed) is type(model)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(changed(images), model(images), atol=1e-5)


def shared():
    conv = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    images = keras.Input((16, 16, 3))
    return keras.Model(images, conv(conv(images)))


def read_twice():
    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", name="conv")(images)
    return keras.Model(images, keras.layers.Add()([keras.layers.BatchNormalization()(x), x]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: block(size=5), r"no 3x3 convolution but Conv2D \(5, 5\)"),
        (lambda: block(norm=False), "no BatchNorm follows"),
        (lambda: block(activation="silu"), "'act' follows.*ReLU or none"),
        (lambda: block(strides=2), r"one side only.*Size: \(16, 16\)"),
        (lambda: block(padding="valid"), r"padding='valid' without a ZeroPadding2D\(1\)"),
        (shared, "called several times"),
        (read_twice, "no BatchNorm follows that it alone feeds"),
    ],
)
def test_what_could_not_start_exactly_is_refused_with_the_reason(model, message):
    with pytest.raises(ValueError, match=rf"'conv' cannot become.*{message}"):
        keras_se.replace(model(), "conv")
    with pytest.raises(ValueError, match=r"No convolution of"):
        keras_se.replace(model())


def test_a_model_without_convolutions_has_none_to_replace():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="dense")
    with pytest.raises(ValueError, match=r"No convolution of 'dense'.*it has no convolution"):
        keras_se.replace(model)


def test_options_of_the_old_layer_are_refused():
    with pytest.raises(TypeError, match=r"Received: \['groups'\]"):
        keras_se.replace(block(), groups=2)
    with pytest.raises(ValueError, match="must have a 3x3 kernel"):
        keras_se.replace(block(), kernel_sizes=(1, 3))
    with pytest.raises(ValueError, match="split_input"):
        keras_se.replace(block(), split_input=True)
