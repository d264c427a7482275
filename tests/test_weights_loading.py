"""Weights into a network and back: by name, from a file, with another head or stem."""

import keras
import numpy as np
import pytest
import safetensors.numpy

from keras_se import applications
from keras_se.applications import (
    ARCHITECTURES,
    DownloadError,
    ResNet18,
    SEResNet18,
    SEResNet50,
    from_checkpoint,
    from_state_dict,
    published_weights,
    to_state_dict,
)
from keras_se.applications.weights import cache_directory

SMALL = {"input_shape": (32, 32, 3)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cache_directory().mkdir()
    return cache_directory()


def images(channels=3):
    return np.random.default_rng(0).normal(size=(2, 32, 32, channels)).astype("float32")


@pytest.fixture(scope="module")
def network():
    """SE-ResNet-18 with random statistics, whose state dict is one of timm's seresnet18."""
    keras.utils.set_random_seed(0)
    model = SEResNet18(weights=None, variant="v1.5", **SMALL)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "model.safetensors"
    safetensors.numpy.save_file(to_state_dict(network), path)
    return path


SHAPES = {  # of timm 1.0.31 and the authors' CBAM
    "resnet18": {"layer2.0.downsample.0.weight": (128, 64, 1, 1)},
    "seresnet18": {"layer1.0.se.fc2.weight": (64, 8, 1, 1), "conv1.weight": (64, 3, 7, 7)},
    "legacy_seresnet18": {"layer1.0.se_module.fc1.weight": (4, 64, 1, 1)},
    "seresnext26t_32x4d": {"layer1.0.conv2.weight": (128, 4, 3, 3)},
    "cbam_resnet18": {"layer1.0.cbam.ChannelGate.mlp.1.weight": (4, 64), "fc.weight": (7, 512)},
    "skresnet18": {"layer1.0.conv1.attn.fc_reduce.weight": (16, 64, 1, 1)},
}


@pytest.mark.parametrize("name", SHAPES)
def test_there_and_back(name):
    entry = ARCHITECTURES[name]
    model = getattr(applications, entry.network)(
        weights=None, variant=entry.variant, classes=7, **SMALL
    )
    assert model.architecture == name
    state_dict = to_state_dict(model)
    assert {key: state_dict[key].shape for key in SHAPES[name]} == SHAPES[name]
    again = from_state_dict(name, state_dict, classes=7, **SMALL)
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_the_architecture_survives_saving(network, tmp_path):
    network.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").architecture == "seresnet18"


@pytest.mark.parametrize("name", ["seresnet18", "cbam_resnet18", "skresnet18"])
def test_keys_do_not_depend_on_how_the_network_was_made(name, tmp_path):
    entry = ARCHITECTURES[name]
    with keras.name_scope("student"):
        model = getattr(applications, entry.network)(
            weights=None, variant=entry.variant, classes=7, **SMALL
        )
    state_dict = to_state_dict(model)
    model.save(tmp_path / "model.keras")
    for other in (
        keras.models.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ):
        other.set_weights(model.get_weights())
        again = to_state_dict(other, name)
        assert again.keys() == state_dict.keys()
        assert all(np.array_equal(again[key], state_dict[key]) for key in again)
    with keras.name_scope("teacher"):
        again = from_state_dict(name, state_dict, classes=7, **SMALL)
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_customised_network_has_no_keys_in_pytorch():
    model = SEResNet18(weights=None, attention="eca", **SMALL)
    with pytest.raises(ValueError, match="Received: model='seresnet18', architecture=None"):
        to_state_dict(model)
    with pytest.raises(ValueError, match=r"no keys for.*gate/"):
        to_state_dict(model, "seresnet18")


def test_explicit_defaults_are_as_published():
    model = SEResNet18(weights=None, ratio=16, attention="se", stages=(2, 3, 4, 5), **SMALL)
    assert model.architecture == "legacy_seresnet18"


def test_from_checkpoint(network, file):
    model = from_checkpoint(file, architecture="seresnet18", **SMALL)
    np.testing.assert_array_equal(model(images()), network(images()))


def test_a_file_as_weights(network, file):
    model = SEResNet18(weights=file, variant="v1.5", **SMALL)
    np.testing.assert_array_equal(model(images()), network(images()))


def test_layers_before_the_input_tensor_are_the_callers(network, file):
    before = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
    inputs = keras.Input((32, 32, 3))
    model = SEResNet18(weights=file, variant="v1.5", input_tensor=before(inputs))
    np.testing.assert_allclose(model(images()), network(before(images())), rtol=1e-5)


def test_without_a_classifier_its_entries_are_left_out(network, file):
    trunk = SEResNet18(weights=file, variant="v1.5", include_top=False, pooling="avg")
    expected = keras.Model(network.input, network.get_layer("avg_pool").output)
    np.testing.assert_allclose(trunk(images()), expected(images()), rtol=1e-5)


@pytest.mark.parametrize("by_path", [False, True])
def test_other_classes_start_a_new_classifier_with_a_warning(network, file, by_path):
    with pytest.warns(UserWarning, match="1000 classes.*new classifier for 5"):
        if by_path:
            model = SEResNet18(weights=file, variant="v1.5", classes=5, **SMALL)
        else:
            model = from_checkpoint(file, "seresnet18", classes=5, **SMALL)
    np.testing.assert_array_equal(
        model.get_layer("stem_conv").kernel, network.get_layer("stem_conv").kernel
    )
    assert model.output_shape == (None, 5)


def test_a_checkpoint_for_other_classes_needs_them_named(network):
    state_dict = to_state_dict(network)
    state_dict |= {"fc.weight": np.ones((5, 512), "f4"), "fc.bias": np.zeros(5, "f4")}
    with pytest.raises(ValueError, match=r"shape: fc\.\w+ is \(5,.*\n?.*shape: fc"):
        from_state_dict("seresnet18", state_dict, **SMALL)
    model = from_state_dict("seresnet18", state_dict, classes=5, **SMALL)
    assert (model.get_layer("predictions").kernel.numpy() == 1).all()


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_input_channels_adapt_the_stem(network, file, channels):
    model = from_checkpoint(file, "seresnet18", input_shape=(32, 32, channels))
    ours = model.get_layer("stem_conv").kernel.numpy()
    theirs = network.get_layer("stem_conv").kernel.numpy()
    if channels == 1:
        np.testing.assert_allclose(ours[:, :, 0], theirs.sum(axis=2), rtol=1e-5)
    for channel in range(channels if channels > 1 else 0):
        expected = theirs[:, :, channel % 3] * 3 / channels
        np.testing.assert_allclose(ours[:, :, channel], expected, rtol=1e-6)
    assert model.preprocess(images(channels)).shape == (2, 32, 32, channels)


def test_imagenet_is_the_best_of_the_variant(network, cache):
    row, *_ = published_weights("SEResNet50", "v1.5")
    entry = {"w": np.zeros(1, "f4")}
    safetensors.numpy.save_file(entry, cache / row.filename)
    for weights in ("imagenet", "ra2_in1k"):
        with pytest.raises(ValueError, match=r"missing: conv1\.weight(.|\n)*left over: w"):
            SEResNet50(weights=weights, **SMALL)


def test_a_cached_file_is_used_without_a_network(cache, monkeypatch):
    model = applications.SEResNeXt26T(weights=None, **SMALL)
    row, *_ = published_weights("SEResNeXt26T")
    safetensors.numpy.save_file(to_state_dict(model), cache / row.filename)
    loaded = applications.SEResNeXt26T(**SMALL)
    np.testing.assert_array_equal(loaded(images()), model(images()))
    assert loaded.preprocess == row.preprocess
    with pytest.warns(UserWarning, match="new classifier for 3"):
        applications.SEResNeXt26T(classes=3, **SMALL)


@pytest.mark.parametrize("arguments", [{}, {"weights": "in1k"}])
def test_offline_says_what_to_fetch_and_where_to_put_it(cache, arguments):
    row, *_ = published_weights("SEResNet18")
    with pytest.raises(DownloadError) as error:
        SEResNet18(**arguments)
    for part in ("HF_HUB_OFFLINE", row.url, str(cache / row.filename), "weights=None"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "network, arguments, parts",
    [
        (SEResNet50, {"weights": "b_in1k"}, ["'a1_in1k'", "'original' has ['in1k']", "b_in1k"]),
        (SEResNet50, {"weights": "in1k"}, ["variant 'v1.5'", "'original' has ['in1k']"]),
        (SEResNet50, {"variant": "keras"}, ["variant 'keras'", "'ra2_in1k'"]),
        (ResNet18, {"weights": "imagenet"}, ["ResNet18", "none"]),
        (SEResNet50, {"attention": "eca"}, ["weights=None", "attention='eca'"]),
        (SEResNet50, {"ratio": 8}, ["weights=None", "ratio=8"]),
        (SEResNet50, {"weights": "no/such.pth"}, ["no/such.pth"]),
        (SEResNet50, {"weights": __file__}, [".safetensors", __file__]),
        (SEResNet50, {"weights": True}, ["weights=True"]),
    ],
)
def test_weights_that_there_are_not(network, arguments, parts):
    with pytest.raises(ValueError) as error:
        network(**arguments)
    assert "Received" in str(error.value)
    assert not [part for part in parts if part not in str(error.value)]


def test_a_network_without_keys_refuses_a_pytorch_file(file):
    with pytest.raises(ValueError, match=r"SKNet26, variant .* is not known in PyTorch"):
        applications.SKNet26(weights=file)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_keras_file_with_more_than_the_network_is_refused(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    model = applications.SEResNetCIFAR(8)
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    with pytest.raises(ValueError, match=r"another network: it has 49 arrays.* 37 weights"):
        applications.ResNetCIFAR(8, weights=path)
    trunk = applications.SEResNetCIFAR(8, weights=path, include_top=False)
    np.testing.assert_array_equal(trunk.weights[-1], model.weights[-3])


@pytest.mark.parametrize(
    "make, suffix",
    [
        (applications.SEResNetCIFAR, ".weights.h5"),
        (applications.SEResNetCIFAR, ".keras"),
        (applications.VGG16BN, ".weights.h5"),  # a head of three dense layers
    ],
)
def test_other_classes_than_a_keras_files_start_a_new_classifier(tmp_path, make, suffix):
    path = tmp_path / f"model{suffix}"
    model = make(weights=None, classes=7, input_shape=(32, 32, 3))
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    with pytest.warns(UserWarning, match="for 7 classes.* new classifier for 3"):
        other = make(weights=path, classes=3, input_shape=(32, 32, 3))
    assert other.output_shape == (None, 3)
    trunk, expected = (keras.Model(m.input, m.layers[-2].output) for m in (other, model))
    np.testing.assert_array_equal(trunk(images()), expected(images()))
    with pytest.raises(ValueError, match=r"(?s)another network than 'seresnet|vgg.*Received"):
        make(weights=path, include_top=True, input_shape=(32, 32, 3))


def test_a_keras_files_pixels_come_with_its_weights(tmp_path):
    model = applications.SEResNetCIFAR(8)
    model.preprocess = applications.Preprocessing((1, 2, 3), (4, 5, 6))
    model.save(tmp_path / "model.keras")
    loaded = applications.SEResNetCIFAR(8, weights=tmp_path / "model.keras")
    assert loaded.preprocess == model.preprocess
    keras.models.clone_model(model).save(tmp_path / "clone.keras")  # it knows none
    clone = applications.SEResNetCIFAR(8, weights=tmp_path / "clone.keras")
    assert clone.preprocess == applications.SEResNetCIFAR(8).preprocess


def test_a_keras_file_of_another_variant_is_refused(tmp_path):
    """All shapes are equal: the strides are not."""
    model = applications.SEResNet50(weights=None, variant="original", **SMALL)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"'legacy_seresnet50'.*variant 'v1\.5'.*Received"):
        applications.SEResNet50(weights=tmp_path / "model.keras", **SMALL)


@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "model.keras"])
def test_a_damaged_keras_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=rf"damaged.*{name}"):
        from_checkpoint(tmp_path / name, "resnet18", **SMALL)


def test_bad_arguments_of_from_checkpoint(file):
    with pytest.raises(ValueError, match="architecture='seresnet51'"):
        from_checkpoint(file, "seresnet51")
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        from_checkpoint("nothing.pth", "seresnet18")
    for path in (file, file.with_name("model.keras")):
        path.touch()
        with pytest.raises(ValueError, match=r"variant.*Received: \['variant'\]"):
            from_checkpoint(path, "seresnet18", variant="original")


def test_keras_files_go_through_from_checkpoint_too(network, tmp_path):
    network.save_weights(tmp_path / "model.weights.h5")
    model = from_checkpoint(tmp_path / "model.weights.h5", "seresnet18", **SMALL)
    np.testing.assert_array_equal(model(images()), network(images()))
