"""Grad-CAM, kernel sizes, spatial maps, sensitivity, their figures and the command."""

import errno
import json

import keras
import numpy as np
import pytest
from keras import layers, ops
from PIL import Image

import keras_se
from keras_se import cli, explain
from keras_se.applications import SEResNetCIFAR
from keras_se.explain import figures, report
from keras_se.explain.report import explain_folder
from keras_se.explain.selective_kernels import enlarged

random = np.random.default_rng(0)
IMAGES = random.normal(size=(5, 32, 32, 3)).astype("float32")
LABELS = np.array([0, 1, 2, 1, 0])


def network(**options):
    """CBAM and selective kernels in a ResNet-8, with weights that matter."""
    model = SEResNetCIFAR(8, **{"conv": "sk", "attention": "cbam"} | options)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if weight.name in ("gamma", "beta", "moving_mean", "moving_variance", "bias"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def classifier(*last):
    """Global pooling and a dense layer, whose Grad-CAM is known: the class's own weights."""
    images = keras.Input((8, 8, 3))
    maps = layers.Conv2D(4, 3, strides=2, padding="same", name="maps")(images)
    x = layers.GlobalAveragePooling2D()(maps)
    for layer in last:
        x = layer(x)
    return keras.Model(images, x)


@pytest.mark.parametrize(
    "last",
    [
        [layers.Dense(3, name="d")],
        [layers.Dense(3, "softmax", name="d")],
        [layers.Dense(3, name="d"), layers.Softmax()],
        [layers.Dense(3, name="d"), layers.Activation("sigmoid")],
    ],
    ids=["logits", "softmax", "softmax layer", "sigmoid"],
)
def test_grad_cam_of_pooled_features_is_the_class_activation_map(last):
    """Selvaraju et al., section 3.1: it generalises CAM, whose weights are the classifier's."""
    model = classifier(*(type(layer).from_config(layer.get_config()) for layer in last))
    x = IMAGES[:, :8, :8]
    maps = ops.convert_to_numpy(keras.Model(model.input, model.get_layer("maps").output)(x))
    kernel = ops.convert_to_numpy(model.get_layer("d").kernel)
    expected = np.maximum(maps @ kernel[:, 2], 0)
    expected = ops.convert_to_numpy(
        ops.image.resize(expected[..., None], (8, 8), interpolation="bilinear")
    )[..., 0]
    highest = expected.max(axis=(1, 2), keepdims=True)
    expected = expected / np.where(highest > 0, highest, 1)
    found = explain.grad_cam(model, x, class_index=2, batch_size=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    by_picture = explain.grad_cam(model, x, class_index=np.array([0, 1, 2, 0, 1]))
    np.testing.assert_allclose(by_picture[2], expected[2], rtol=1e-4, atol=1e-5)


def around(inner, *after):
    """A classifier with a model inside it, for pixels in [0, 255]."""
    images = keras.Input(IMAGES.shape[1:])
    x = inner(keras.layers.Rescaling(1 / 255.0)(images))
    for layer in after:
        x = layer(x)
    return keras.Model(images, x)


@pytest.mark.parametrize("twice", [False, True])
def test_grad_cam_looks_into_the_models_inside(twice):
    model = network()
    wrapped = around(around(model)) if twice else around(model)
    pixels = IMAGES * (255**2 if twice else 255)
    expected = explain.grad_cam(model, IMAGES)
    np.testing.assert_allclose(explain.grad_cam(wrapped, pixels), expected, atol=1e-3)
    name = "stage3_block1_tail"
    expected = explain.grad_cam(model, IMAGES, layer=name)
    np.testing.assert_allclose(explain.grad_cam(wrapped, pixels, layer=name), expected, atol=1e-3)


def test_grad_cam_goes_through_a_pooled_backbone_and_a_head_of_its_own():
    model = network()
    *_, pooled, dense = model.layers
    backbone = keras.Model(model.input, pooled.output)
    expected = explain.grad_cam(model, IMAGES)
    head = keras.Sequential([keras.Input(pooled.output.shape[1:]), dense])
    for wrapped in (around(backbone, dense), around(backbone, head)):
        found = explain.grad_cam(wrapped, IMAGES * 255)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_grad_cam_refuses_a_model_of_several_inputs_that_may_hold_the_feature_map():
    parts = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    inner = keras.Model(parts, keras.layers.Flatten()(keras.layers.add(parts)), name="pair")
    images = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"'pair', which has several.*Received: 2 inputs"):
        explain.grad_cam(keras.Model(images, inner([images, images])), IMAGES[:, :8, :8])


def test_grad_cam_of_a_head_with_an_earlier_call():
    head = keras.layers.Dense(2, "softmax")
    models = []
    for _ in range(2):
        images = keras.Input((8, 8, 3))
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
        models.append(keras.Model(images, head(x)))
    popped = keras.Sequential([*models[0].layers, keras.layers.Dropout(0.5)])
    popped.pop()
    small = IMAGES[:, :8, :8]
    expected, second, again = (explain.grad_cam(m, small) for m in (*models, popped))
    np.testing.assert_array_equal(again, expected)
    assert not np.array_equal(second, expected)


def test_grad_cam_in_half_precision(mixed_float16):
    half = network()
    keras.config.set_dtype_policy("float32")
    full = network()
    full.set_weights(half.get_weights())
    for layer in (None, "stage2_block1_tail"):
        expected = explain.grad_cam(full, IMAGES, LABELS, layer)
        np.testing.assert_allclose(
            explain.grad_cam(half, IMAGES, LABELS, layer), expected, atol=0.05
        )


@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize("pooling", ["float32", "float16"])
def test_grad_cam_of_a_float32_head_over_a_float16_feature_map(activation, pooling):
    images = keras.Input((8, 8, 3))
    maps = layers.Conv2D(4, 3, dtype="mixed_float16")(images)
    x = layers.GlobalAveragePooling2D(dtype=pooling)(maps)
    model = keras.Model(images, layers.Dense(3, activation, dtype="float32", name="d")(x))
    small = IMAGES[:, :8, :8]
    found = explain.grad_cam(model, small, 0)
    feature_map = keras.Model(images, maps)(small).numpy().astype("float32")
    cam = np.maximum(feature_map @ model.get_layer("d").get_weights()[0][:, 0], 0)
    cam = ops.image.resize(cam[..., None], (8, 8))[..., 0].numpy()
    cam /= cam.max((1, 2), keepdims=True)
    np.testing.assert_allclose(found, cam, atol=5e-3)


def test_grad_cam_of_the_most_probable_class_and_of_a_network():
    model = network()
    predicted = ops.convert_to_numpy(ops.argmax(model(IMAGES), axis=-1))
    found = explain.grad_cam(model, IMAGES)
    assert found.shape == (5, 32, 32) and found.min() == 0 and found.max() == 1
    np.testing.assert_allclose(found, explain.grad_cam(model, IMAGES, predicted), atol=1e-6)
    earlier = explain.grad_cam(model, IMAGES, layer="stage3_block1_tail")
    assert np.abs(earlier - found).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "stage3_block1_conv1"}, "must name a layer.*stage3_block1_tail"),
        ({"class_index": 10}, r"int in \[0, 10\)"),
        ({"class_index": np.array([1, 2])}, "one for each of 5"),
    ],
)
def test_what_grad_cam_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        explain.grad_cam(network(), IMAGES, **arguments)
    with pytest.raises(ValueError, match=r"one output \(n, classes\)"):
        explain.grad_cam(keras.Model(*[keras.Input((8, 8, 3))] * 2), IMAGES)


def test_branch_weights_are_those_of_the_layer():
    model = network()
    found = explain.branch_weights(model, IMAGES, batch_size=2)
    assert list(found) == [f"stage{stage}_block1_conv1" for stage in (2, 3, 4)]
    layer = model.get_layer("stage3_block1_conv1")
    x = keras.Model(model.input, layer.input)(IMAGES, training=False)
    reference = layer.select_branches(layer.split(x, training=False), training=False)
    np.testing.assert_allclose(found[layer.name], reference, rtol=1e-4)
    np.testing.assert_allclose(found[layer.name].sum(axis=1), 1, rtol=1e-5)


def test_attention_by_scale():
    model = network()
    found = explain.attention_by_scale(model, IMAGES, scales=(1.0, 2.0))
    weights = explain.branch_weights(model, enlarged(IMAGES, 2.0))
    for path, array in found.items():
        expected = (weights[path][:, 1] - weights[path][:, 0]).mean(axis=0)
        np.testing.assert_allclose(array[1], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="no selective kernels"):
        explain.attention_by_scale(network(conv=None), IMAGES)


def test_enlarged_is_the_resize_of_the_centre():
    centre = IMAGES[:, 8:24, 8:24]
    reference = ops.image.resize(centre, (32, 32), interpolation="bilinear")
    found = enlarged(IMAGES, 2.0)
    # At the border the crop has no neighbours, the picture does.
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], reference[:, 1:-1, 1:-1], atol=1e-5)
    np.testing.assert_array_equal(enlarged(IMAGES, 1.0), IMAGES)
    with pytest.raises(ValueError, match=r"scale=0\.5"):
        enlarged(IMAGES, 0.5)


def test_spatial_maps_are_those_of_the_layer():
    model = network()
    found = explain.spatial_maps(model, IMAGES, batch_size=3)
    assert list(found) == [f"stage{s}_block1_tail/gate/spatial" for s in (2, 3, 4)]
    assert [array.shape for array in found.values()] == [(5, 32, 32), (5, 16, 16), (5, 8, 8)]
    tail = model.get_layer("stage4_block1_tail")
    residual = keras.Model(model.input, tail.input[0])(IMAGES, training=False)
    gated = tail.gate.channel(tail.gate_input(residual, training=False))
    reference = tail.gate.spatial.attend(gated, training=False)
    np.testing.assert_allclose(found[f"{tail.name}/gate/spatial"], reference[..., 0], rtol=1e-4)
    gated = keras_se.insert(network(conv=None, attention=None), "scse", after="residual")
    assert next(iter(explain.spatial_maps(gated, IMAGES[:1]))) == "stage2_block1_tail/gate/spatial"


def test_figures_that_are_there_are_seen_before_the_work(tmp_path):
    (tmp_path / "grad_cam.png").touch()
    with pytest.raises(FileExistsError, match=r"grad_cam\.png exists"):
        explain_folder(network(), tmp_path / "no pictures", tmp_path)


def test_a_figure_is_whole_or_not_there(tmp_path):
    class Figure:
        def savefig(self, path):
            path.write_bytes(b"half a picture")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"spatial\.png"):
        report._save({"spatial": Figure()}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_sensitivity_is_the_accuracy_with_means():
    model = network(conv=None, attention="se")
    found = explain.sensitivity(model, IMAGES, LABELS, batch_size=2)
    assert [row.stage for row in found.stages] == ["stage 2", "stage 3", "stage 4"]
    assert found.stages[1].gates == 1 and found.stages[1].parameters == 2 * 32 * 2 + 2 + 32
    predicted = ops.convert_to_numpy(model(IMAGES)).argmax(axis=-1)
    assert found.accuracy == np.mean(predicted == LABELS)
    for row in found.stages:
        assert row.drop == found.accuracy - row.accuracy
    assert len(str(found).splitlines()) == 5 and "stage 3" in str(found)


def test_sensitivity_drops_where_a_gate_decides():
    """A gate that tells bright from dark pictures, without which the classes are equal."""
    images = keras.Input((8, 8, 2))
    gate = keras_se.layers.SqueezeExcite(ratio=1, gate="relu", name="se")
    x = layers.Conv2D(2, 1, name="c")(images)
    model = keras.Model(images, layers.GlobalAveragePooling2D()(gate(x)))
    model.get_layer("c").set_weights([np.eye(2)[None, None], np.zeros(2)])
    gate.reduce.set_weights([np.eye(2), np.zeros(2)])
    gate.expand.set_weights([np.array([[4.0, -4.0], [0, 0]]), np.array([-1.0, 2.0])])
    bright = np.repeat(np.array([0.1, 0.9, 0.2, 0.8]), 128).reshape(4, 8, 8, 2)
    found = explain.sensitivity(model, bright, [1, 0, 1, 0])
    assert found.accuracy == 1.0 and found.stages[0].stage == "8x8"
    assert found.stages[0].accuracy == 0.5 and found.stages[0].drop == 0.5


def test_what_sensitivity_refuses():
    with pytest.raises(ValueError, match="no gates"):
        explain.sensitivity(network(conv=None, attention=None), IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"5 integers, one per image.*\(2,\)"):
        explain.sensitivity(network(), IMAGES, [1, 2])
    with pytest.raises(ValueError, match=r"A classifier is needed.*\(None, 1\)"):
        explain.sensitivity(network(classes=1), IMAGES, LABELS)


def test_excitations_draw_each_stage_once_with_classes(tmp_path):
    recorded = explain.gates(network(conv=None, attention="se"), IMAGES)
    figure = figures.excitations(recorded, LABELS, ["cat", "dog", "ship"])
    axes = figure.axes
    assert [axis.get_title() for axis in axes] == [f"stage{s}_block1_tail" for s in (2, 3, 4)]
    lines = {line.get_label(): line.get_ydata() for line in axes[0].lines}
    values = recorded["stage2_block1_tail/gate"].values
    assert set(lines) == {"cat", "dog", "ship", "all, mean"}
    np.testing.assert_allclose(lines["dog"], values[LABELS == 1].mean(axis=0), rtol=1e-5)
    assert axes[0].title.get_fontsize() == 10 and figure.legends[0].prop.get_size() == 8
    figure.savefig(tmp_path / "f.png")
    with pytest.raises(ValueError, match="no channel gates"):
        figures.excitations({})


def test_kernel_choice_draws_a_line_for_each_scale(tmp_path):
    attention = {"a": np.array([[0.1, 0.3], [0.5, 0.7]]), "b": np.array([[0, 0], [-1, 1]])}
    figure = figures.kernel_choice(attention, (1.0, 2.0))
    first, second, *_ = figure.axes[0].lines
    np.testing.assert_allclose(first.get_ydata(), [0.2, 0.0])
    np.testing.assert_allclose(second.get_ydata(), [0.6, 0.0])
    figure.savefig(tmp_path / "f.png")
    with pytest.raises(ValueError, match="one row for each scale"):
        figures.kernel_choice(attention, (1.0,))


@pytest.mark.parametrize("channels", [1, 3])
def test_overlays_draw_every_map_over_every_picture(tmp_path, channels):
    pictures = random.uniform(0, 255, (3, 8, 8, channels))
    figure = figures.overlays(pictures, {"m": random.random((3, 4, 4))}, ["a", "b", "c"], "gate")
    assert sum(len(axis.images) for axis in figure.axes) == 9
    figure.savefig(tmp_path / "f.png")
    with pytest.raises(ValueError, match=r"one for each of 3 pictures.*\['m'\]"):
        figures.overlays(pictures, {"m": np.ones((2, 4, 4))})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model file and pictures of two classes."""
    folder = tmp_path_factory.mktemp("explain")
    keras.utils.set_random_seed(0)
    model = network()
    model.class_names = ["dog", "cat", *map(str, range(8))]
    model.save(folder / "model.keras")
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
        for index in range(3):
            pixels = random.integers(0, 256, (32, 32, 3), "uint8")
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{index}.png")
    return folder


def test_the_command_draws_all_that_the_model_has(folder, tmp_path, capfd):
    arguments = [folder / "model.keras", "--images", folder / "pictures", "-o", tmp_path / "out"]
    assert cli.main(["explain", *map(str, arguments), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    names = ["excitations", "kernels", "spatial", "grad_cam", "sensitivity"]
    assert found["files"] == [str(tmp_path / "out" / f"{name}.png") for name in names]
    assert found["images"] == 6 and len(found["sensitivity"]["stages"]) == 3
    for file in found["files"]:
        with Image.open(file) as image:
            assert min(image.size) > 300
    assert cli.main(["explain", *map(str, arguments)]) == 2
    assert "pass --overwrite" in capfd.readouterr().err
    assert cli.main(["explain", *map(str, arguments), "--overwrite", "--shown", "0"]) == 2
    assert "--shown must be at least 1" in capfd.readouterr().err
