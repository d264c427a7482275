"""What every constructor promises, shown on the smallest networks."""

import functools
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_se import applications, insert, remove
from keras_se.applications import (
    VGG16BN,
    MobileNet,
    ResNet18,
    ResNetCIFAR,
    SEMobileNet,
    SEResNet18,
    features,
)
from keras_se.applications.blocks.residual import ResidualSpec
from keras_se.applications.construction.constructor import constructor
from keras_se.layers import CONVS, GATES, SqueezeExcite

SMALL = {"weights": None, "input_shape": (32, 32, 3), "classes": 5}
SEResNetCIFAR = functools.partial(applications.SEResNetCIFAR, 8)  # one block in each stage


def narrow(name):
    """The constructor of a network that is narrower, with two blocks in each stage."""
    spec = getattr(applications, name).spec
    return constructor(replace(spec, depths=(2, 2, 2, 2), widths=(16, 32, 64, 128)), "A network.")


BLOCKS = {"basic": functools.partial(ResNetCIFAR, 8), "bottleneck": narrow("ResNet50")}


def images(shape=(2, 32, 32, 3)):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@functools.cache
def parameters_without_attention(block):
    return BLOCKS[block](**SMALL, attention=None).count_params()


@pytest.mark.parametrize("gate", GATES)
def test_every_gate_fits_every_block(gate):
    for block, network in BLOCKS.items():
        model = network(**SMALL, attention=gate)
        assert model(images()).shape == (2, 5)
        assert model.count_params() > parameters_without_attention(block)


@pytest.mark.parametrize("conv", CONVS)
def test_every_convolution_fits_every_block(conv):
    for block, network in BLOCKS.items():
        model = network(**SMALL, conv=conv)
        assert model(images()).shape == (2, 5)
        replaced = [layer for layer in model.layers if isinstance(layer, CONVS[conv])]
        assert len(replaced) == {"basic": 3, "bottleneck": 8}[block]


@pytest.mark.parametrize("placement", ResidualSpec.PLACEMENTS)
@pytest.mark.parametrize("network", [narrow("SEResNet18"), narrow("SEResNet50")])
def test_placements(network, placement):
    model = network(**SMALL, placement=placement, stages=(2,))
    assert np.isfinite(model(images())).all()
    gates = [p for p in (w.path for w in model.weights) if p.endswith("expand/kernel")]
    assert len(gates) == 2


def test_placements_are_different_networks():
    outputs = []
    for placement in ResidualSpec.PLACEMENTS:
        keras.utils.set_random_seed(1)
        model = SEResNetCIFAR(**SMALL, placement=placement)
        outputs.append(np.asarray(model(images())))
    for i, first in enumerate(outputs):
        assert all(np.abs(first - second).max() > 1e-6 for second in outputs[i + 1 :])


def test_stages_choose_where_attention_goes():
    model = SEResNet18(**SMALL, stages=(3, 5))
    stages = {w.path[:6] for w in model.weights if "/gate/" in w.path}
    assert stages == {"stage3", "stage5"}


def test_attention_may_be_a_callable():
    gate = functools.partial(SqueezeExcite, ratio=4, gate="tanh")
    model = ResNetCIFAR(8, **SMALL, attention=gate)
    ratios = [layer.ratio for layer in model._flatten_layers() if isinstance(layer, SqueezeExcite)]
    assert ratios == [4] * 3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_input_channels(channels):
    model = SEResNetCIFAR(input_shape=(32, 32, channels), classes=5)
    pixels = np.full((1, 32, 32, channels), 128, "uint8")
    assert model(model.preprocess(pixels)).shape == (1, 5)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (97, 64)])
def test_any_image_size(size):
    model = SEResNet18(weights=None, include_top=False, pooling="avg", input_shape=(None, None, 3))
    assert model(images((1, *size, 3))).shape == (1, 512)


def test_heads():
    assert SEResNet18(weights=None, include_top=False).output_shape == (None, None, None, 512)
    for pooling in ("avg", "max"):
        assert SEResNet18(weights=None, include_top=False, pooling=pooling).output_shape == (
            None,
            512,
        )
    logits = SEResNetCIFAR(**SMALL, classifier_activation=None)
    probabilities = SEResNetCIFAR(**SMALL)
    probabilities.set_weights(logits.get_weights())
    expected = keras.ops.softmax(logits(images()))
    np.testing.assert_allclose(probabilities(images()), expected, rtol=1e-5)


def test_input_tensor():
    inputs = keras.Input((40, 40, 3))
    halves = keras.layers.Rescaling(0.5)(inputs)
    model = SEResNetCIFAR(input_tensor=halves, classes=5)
    assert model.input is inputs
    assert model(images((1, 40, 40, 3))).shape == (1, 5)


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"attention": "sa"}, "attention='sa'"),
        ({"attention": 3}, "attention=3"),
        ({"attention": SqueezeExcite()}, "attention=<SqueezeExcite"),
        ({"conv": "dynamic"}, "conv='dynamic'"),
        ({"placement": "middle"}, "placement='middle'"),
        ({"variant": "v2"}, "variant='v2'"),
        ({"stages": (6,)}, "stages=(6,)"),
        ({"stages": 2}, "stages=2"),
        ({"stages": ([2],)}, "stages=([2],)"),
        ({"stages": iter((2, 3))}, "stages=<tuple_iterator"),
        ({"attention": None, "placement": "inner"}, "placement='inner'"),
        ({"ratio": 16, "attention": "eca"}, "ratio=16"),
        ({"ratio": 0}, "ratio=0"),
        ({"ratio": 128}, "ratio=128"),
        ({"classes": 0}, "classes=0"),
        ({"classes": "ten"}, "classes='ten'"),
        ({"classes": [10]}, "classes=[10]"),
        ({"variant": ["v1.5"]}, "variant=['v1.5']"),
        ({"pooling": "mean"}, "pooling='mean'"),
        ({"input_shape": (16, 32, 3)}, "input_shape=(16, 32, 3)"),
        ({"input_shape": (32, 32)}, "input_shape=(32, 32)"),
        ({"input_shape": (32, 32, None)}, "input_shape=(32, 32, None)"),
        ({"input_shape": (32.0, 32, 3)}, "input_shape=(32.0, 32, 3)"),
        ({"input_shape": 224}, "input_shape=224"),
        ({"input_shape": "large"}, "input_shape=large"),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, "ndarray"),
        ({"weights": "no/such/file.weights.h5"}, "no/such/file.weights.h5"),
    ],
)
def test_bad_arguments(arguments, received):
    with pytest.raises(ValueError) as error:
        SEResNet18(**{"weights": None, **arguments})
    assert "Received" in str(error.value) and received in str(error.value)


@pytest.mark.parametrize("depth", ["20", 20.0, 21, True])
def test_bad_depths(depth):
    with pytest.raises(ValueError, match=f"Received: depth={depth!r}"):
        applications.SEResNetCIFAR(depth)


@pytest.mark.parametrize("alpha", ["1.0", 0, 0.02, True])
def test_bad_widths(alpha):
    with pytest.raises(ValueError, match=f"Received: alpha={alpha!r}"):
        SEMobileNet(alpha=alpha)


@pytest.mark.parametrize(
    "make", [ResNet18, functools.partial(ResNet18, placement="post"), VGG16BN, MobileNet]
)
def test_a_gate_that_changes_the_shape_is_refused(make):
    pool = functools.partial(keras.layers.GlobalAveragePooling2D, keepdims=True)
    with pytest.raises(ValueError, match=r"keep.*shape.*Received: GlobalAveragePooling2D.* 1, 1"):
        make(**SMALL, attention=pool)


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels_last"):
            SEResNet18(weights=None, input_shape=(3, 32, 32))
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_from_a_file(tmp_path, suffix):
    model = SEResNetCIFAR(**SMALL)
    path = tmp_path / f"model{suffix}"
    (model.save if suffix == ".keras" else model.save_weights)(path)
    loaded = SEResNetCIFAR(**{**SMALL, "weights": path})
    np.testing.assert_array_equal(loaded(images()), model(images()))


def test_the_names_in_a_file_are_those_of_its_classifier(tmp_path):
    model, path = SEResNetCIFAR(classes=3), tmp_path / "model.keras"
    model.class_names = ("cat", "dog", "fox")
    model.save(path)
    assert SEResNetCIFAR(weights=path, classes=3).class_names == model.class_names
    assert SEResNetCIFAR(weights=path, include_top=False).class_names is None
    with pytest.warns(UserWarning, match="new classifier for 4"):
        assert SEResNetCIFAR(weights=path, classes=4).class_names is None


def test_save_and_load_in_another_process(tmp_path):
    variants = [
        {},
        {"attention": "cbam"},
        {"conv": "sk"},
        {"attention": "eca", "placement": "inner"},
    ]
    for number, arguments in enumerate(variants):
        model = SEResNetCIFAR(**SMALL, **arguments)
        model.save(tmp_path / f"{number}.keras")
        np.save(tmp_path / f"{number}.npy", model(images()))
    script = (
        "import keras, keras_se.applications, numpy as np\n"
        "x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype('float32')\n"
        "for number in range(4):\n"
        "    model = keras.models.load_model(f'{number}.keras')\n"
        "    np.testing.assert_array_equal(model(x), np.load(f'{number}.npy'), str(number))\n"
        "    assert model.preprocess(np.zeros((1, 1, 1, 3), 'uint8')).min() < -1\n"
    )
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)


def test_keras_old_format_needs_the_class(tmp_path):
    model = SEResNetCIFAR(8)
    model.save(tmp_path / "model.h5")
    known = {"ImageModel": applications.ImageModel}
    loaded = keras.models.load_model(tmp_path / "model.h5", custom_objects=known)
    np.testing.assert_array_equal(loaded(images()), model(images()))
    assert loaded.preprocess == model.preprocess


def test_config_round_trip():
    model = SEResNetCIFAR(**SMALL)
    other = type(model).from_config(model.get_config())
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other(images()), model(images()))
    assert other.preprocess == model.preprocess
    assert (other.name, other.architecture) == (model.name, model.architecture)


def test_a_clone_has_the_layers_and_asks_for_the_preprocessing(tmp_path):
    model = SEResNetCIFAR(**SMALL)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(images()), model(images()))
    clone.save(tmp_path / "clone.keras")
    with pytest.raises(AttributeError, match=r"clone\.preprocess = model\.preprocess"):
        keras.saving.load_model(tmp_path / "clone.keras").preprocess(images())
    for changed in (features(clone), remove(insert(clone, "eca", after="stage"))):
        with pytest.raises(AttributeError, match=r"clone\.preprocess"):
            changed.preprocess(images())
    clone.preprocess = model.preprocess
    np.testing.assert_array_equal(clone.preprocess(images()), model.preprocess(images()))


# That XLA takes every layer is shown in test_layers_contract.py, in seconds.
@pytest.mark.parametrize(
    "arguments, jit_compile",
    [
        ({"attention": "se"}, False),
        ({"attention": "cbam"}, False),
        ({"conv": "sk"}, False),
        ({"attention": "se"}, True),
        pytest.param({"attention": "cbam"}, True, marks=pytest.mark.slow),
        pytest.param({"conv": "sk"}, True, marks=pytest.mark.slow),
    ],
)
def test_training_moves_every_weight(arguments, jit_compile):
    model = ResNetCIFAR(8, **SMALL, **arguments)
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit_compile)
    before = [w.numpy() for w in model.trainable_weights]
    model.fit(images((8, 32, 32, 3)), np.arange(8) % 5, batch_size=8, epochs=4, verbose=0)
    frozen = [
        w.path
        for w, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(w.numpy(), old)
    ]
    assert not frozen


def test_mixed_precision_keeps_the_head_in_float32(mixed_float16):
    model = SEResNetCIFAR(**SMALL)
    assert model.output.dtype == "float32"
    assert model.get_layer("stage2_block1_conv1").compute_dtype == "float16"
    assert np.isfinite(model(images())).all()


def test_plain_network_has_no_gate():
    assert not [w for w in ResNet18(**SMALL).weights if "gate" in w.path]
