"""qubvel's Keras files, written here by the order of layers in their source.

Checked once with real ones besides: classification_models 1.0 in tf_keras 2.21 and these
networks gave the same probabilities to 2e-9, for SE-ResNet-50 and SE-ResNeXt-50.
"""

import h5py
import numpy as np
import pytest

from keras_se import applications
from keras_se.applications import ARCHITECTURES, SEResNet50, SEResNeXt50, from_checkpoint

SMALL = {"input_shape": (32, 32, 3)}
NAMES = ("qubvel_seresnet50", "qubvel_seresnext50")


def write(path, model, in_model_weights=False):
    """The weights of one of our networks, in the order of Keras 2 and without our names."""
    weights = {w.path: w.numpy() for w in model.weights}
    layers = []

    def take(layer, *parts):
        found = [weights.pop(f"{layer}/{part}") for part in parts if f"{layer}/{part}" in weights]
        layers.append(found)
        return found

    def norm(layer):
        take(layer, "gamma", "beta", "moving_mean", "moving_variance")

    def conv(layer, groups=1):
        (kernel,) = take(layer, "kernel")
        if groups > 1:
            layers[-1:] = [[piece] for piece in np.split(kernel, groups, axis=-1)]

    conv("stem_conv")
    norm("stem_norm")
    layers.append([])  # an activation
    for stage, depth in enumerate((3, 4, 6, 3), start=2):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            groups = model.get_layer(f"{name}_conv2").get_config().get("groups", 1)
            conv(f"{name}_conv1")
            norm(f"{name}_norm1")
            conv(f"{name}_conv2", groups)
            norm(f"{name}_norm2")
            conv(f"{name}_conv3")
            norm(f"{name}_tail/norm")
            for part in ("reduce", "expand"):
                kernel, bias = take(f"{name}_tail/gate/{part}", "kernel", "bias")
                layers[-1] = [kernel[None, None], bias]
            if block == 1:
                conv(f"{name}_shortcut_conv")
                norm(f"{name}_shortcut_norm")
    if "predictions/kernel" in weights:
        take("predictions", "kernel", "bias")
    assert not weights
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if in_model_weights else file
        names = [f"layer_{number}" for number in range(7, 7 + len(layers))]
        group.attrs["layer_names"] = [name.encode() for name in names]
        for name, arrays in zip(names, layers, strict=True):
            layer = group.create_group(name)
            parts = [f"{name}/part_{number}:0" for number in range(len(arrays))]
            layer.attrs["weight_names"] = [part.encode() for part in parts]
            for part, array in zip(parts, arrays, strict=True):
                layer[part] = array


def cut(group, attribute):
    """An attribute in two, as Keras 2 writes one of more than 64,512 bytes."""
    names = group.attrs.pop(attribute)
    for number, half in enumerate(np.array_split(names, 2)):
        group.attrs[f"{attribute}{number}"] = half


def network(name, **arguments):
    entry = ARCHITECTURES[name]
    model = getattr(applications, entry.network)(
        weights=None, variant=entry.variant, **SMALL, **arguments
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_logits(name, tmp_path):
    model = network(name)
    write(tmp_path / "model.h5", model, in_model_weights=name.endswith("next50"))
    loaded = from_checkpoint(tmp_path / "model.h5", name, **SMALL)
    images = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(images), model(images))
    assert loaded.preprocess.channel_order == "rgb" and loaded.preprocess.std[0] == 58.395


def test_names_too_long_for_one_attribute(tmp_path):
    model = network("qubvel_seresnet50")
    write(tmp_path / "model.h5", model)
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        for group in (file, *file.values()):
            cut(group, "layer_names" if group is file else "weight_names")
    images = np.ones((1, 32, 32, 3), "float32")
    loaded = SEResNet50(weights=tmp_path / "model.h5", variant="keras", **SMALL)
    np.testing.assert_array_equal(loaded(images), model(images))


def test_as_weights_without_a_classifier(tmp_path):
    model = network("qubvel_seresnext50", include_top=False)
    write(tmp_path / "model.h5", model)
    loaded = SEResNeXt50(weights=tmp_path / "model.h5", include_top=False)
    np.testing.assert_array_equal(
        loaded.get_layer("stage5_block3_conv2").kernel,
        model.get_layer("stage5_block3_conv2").kernel,
    )


def test_another_network_is_refused(tmp_path):
    write(tmp_path / "model.h5", network("qubvel_seresnet50"))
    for name in ("qubvel_seresnet101", "qubvel_seresnext50"):
        with pytest.raises(ValueError, match=r"model\.h5"):
            from_checkpoint(tmp_path / "model.h5", name, **SMALL)
    with pytest.raises(ValueError, match="qubvel_"):
        from_checkpoint(tmp_path / "model.h5", "seresnet50", **SMALL)
