"""Small gates: found, explained, cured by mixed_int8; and recipe="auto" that finds the cure."""

import json

import keras
import numpy as np
import pytest

from keras_se.layers import CBAM, SqueezeExcite
from keras_se.tflite import BoundNotMet, Images, convert
from keras_se.tflite.accuracy.gates import find_gates, measure_gates
from keras_se.tflite.accuracy.layerwise import layer_errors, worst_layers
from keras_se.tflite.choose import CANDIDATES, choose

layers = keras.layers
GATES = {"usual": 0.0, "tiny": -7.0}  # biases: gates of 0.5, and of 0.0009


def pictures(count):
    """Noise in front of one dominant colour, and which colour it is."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 3, count)
    images = random.normal(size=(count, 16, 16, 3)).astype("float32")
    images[np.arange(count), :, :, colours] += 0.5
    return images, colours


def build(gate, bias=0.0, activation=None):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="features")(inputs)
    z = layers.GlobalAveragePooling2D(keepdims=True)(x)
    small = keras.initializers.Constant(bias)
    z = layers.Conv2D(16, 1, activation=gate, bias_initializer=small, trainable=False)(z)
    x = layers.Multiply(name="gated")([x, z])
    x = layers.Rescaling(float(1 / keras.ops.sigmoid(bias)))(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation=activation)(x))


@pytest.fixture(scope="module", params=GATES)
def trained(request):
    model = build("sigmoid", GATES[request.param])
    images, colours = pictures(256)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(images, colours, epochs=6, verbose=0)
    return request.param, model


@pytest.fixture(scope="module")
def results(trained):
    name, model = trained
    images = pictures(48)[0]
    return name, {r: convert(model, r, images) for r in ("static_int8", "mixed_int8")}


def test_mixed_int8_keeps_small_gates(results):
    name, files = results
    snr = {recipe: result.report.comparison.snr_db for recipe, result in files.items()}
    assert snr["mixed_int8"] > 30
    assert (snr["static_int8"] > 30) == (name == "usual")


def test_mixed_int8_computes_only_the_gates_in_float(results):
    inspection = results[1]["mixed_int8"].report.inspection
    floats = {op.name for op in inspection.operators if "float32" in op.dtypes}
    assert floats == {"DEQUANTIZE", "LOGISTIC", "QUANTIZE"}
    assert len(inspection.float_tensors) == 2
    assert inspection.partitions == 1
    assert set(inspection.not_delegated) == {"QUANTIZE"}  # of the input and the output


def test_gates_are_reported_with_their_mean_and_the_small_ones_with_the_cure(results):
    name, files = results
    for recipe, result in files.items():
        report = result.report
        (gate,) = report.gates
        assert gate.mean == pytest.approx(0.5 if name == "usual" else 0.0009, rel=0.5)
        assert bool(report.small_gates) == gate.is_small == (name == "tiny")
        assert ("too small" in str(report)) == gate.is_small
        cure = 'recipe="mixed_int8"' in str(report)
        assert cure == (gate.is_small and recipe == "static_int8")
        json.dumps(report.to_dict(), allow_nan=False)


def test_the_worst_layer_is_the_small_gate_and_says_so(results):
    name, files = results
    report = files["static_int8"].report
    if name == "usual":
        assert report.worst_layers == ()
        return
    worst = report.worst_layers[0]
    assert worst.operator == "LOGISTIC"
    assert worst.reason.startswith("small gate, mean 0.00")
    assert worst.snr_db < 10 < worst.input_snr_db
    assert str(worst) in str(report)


def test_mixed_int8_of_cbam_fits_the_scale_behind_a_reshape():
    inputs = keras.Input((12, 12, 16))
    cbam = CBAM(ratio=4)
    model = keras.Model(inputs, cbam(inputs))
    kernel = cbam.channel.expand.kernel
    kernel.assign(kernel * 0.1)
    cbam.channel.expand.bias.assign(np.full(16, -3.0))  # once for each pooling
    images = np.random.default_rng(0).normal(size=(8, 12, 12, 16)).astype("float32")
    snr = {
        recipe: convert(model, recipe, images).report.comparison.snr_db
        for recipe in ("static_int8", "mixed_int8")
    }
    assert snr["static_int8"] < 30 < snr["mixed_int8"]


def test_a_gate_behind_a_constant_factor_is_a_gate():
    inputs = keras.Input((12, 12, 16))
    gate = SqueezeExcite(ratio=4, gate="sigmoid2")
    model = keras.Model(inputs, gate(inputs))
    gate.expand.bias.assign(np.full(16, -8.0))
    images = np.random.default_rng(0).normal(size=(8, 12, 12, 16)).astype("float32")
    reports = {r: convert(model, r, images).report for r in ("static_int8", "mixed_int8")}
    (small,) = reports["static_int8"].gates
    assert small.is_small and small.mean < 0.01
    snr = {recipe: report.comparison.snr_db for recipe, report in reports.items()}
    assert snr["static_int8"] < 30 < snr["mixed_int8"]


def two_gates(join):
    """Two gates, each for a map of its own: halves of a vector, two vectors, or a small map."""
    inputs = keras.Input((12, 12, 16))
    means = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    shut = {"activation": "sigmoid", "bias_initializer": keras.initializers.Constant(-6)}
    if join == "split":
        gates = keras.ops.split(layers.Conv2D(32, 1, **shut)(means), 2, axis=-1)
    elif join == "slice":
        both = layers.Conv2D(32, 1, **shut)(means)
        gates = [both[..., :16], both[..., 16:]]
    elif join == "upsample":
        small = layers.Conv2D(1, 4, 4, **shut)(layers.Rescaling(0.2)(inputs))
        gates = [layers.UpSampling2D(4, interpolation=kind)(small) for kind in INTERPOLATIONS]
    else:
        gates = [layers.Conv2D(16, 1, **shut)(means) for _ in range(2)]
    maps = [layers.Conv2D(16, 1)(inputs), inputs]
    x = layers.Add()([layers.Multiply()(pair) for pair in zip(maps, gates, strict=True)])
    if join == "concatenate":
        x = layers.Multiply()([x, layers.Conv2D(16, 1)(layers.Concatenate()(gates))])
    return keras.Model(inputs, x)


INTERPOLATIONS = ("nearest", "bilinear")


@pytest.mark.parametrize("join", ["split", "slice", "upsample", "concatenate"])
def test_gates_that_share_a_scale_with_others(join):
    images = np.random.default_rng(0).normal(size=(8, 12, 12, 16)).astype("float32")
    report = convert(two_gates(join), "mixed_int8", images).report
    assert set(report.inspection.not_delegated) <= {"QUANTIZE", "TILE"}
    assert len(report.gates) == (2 if join == "concatenate" else 1)
    assert report.comparison.snr_db > 30


def test_a_swish_is_not_a_gate():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="swish")])
    images = pictures(4)[0][:, :8, :8]
    result = convert(model, "mixed_int8", images)
    assert result.report.gates == ()
    assert result.report.inspection.is_strict_int8


def test_float_recipes_have_no_gates_to_report(trained):
    report = convert(trained[1], "float32", pictures(4)[0]).report
    assert (report.gates, report.worst_layers, report.choices) == ((), (), ())


@pytest.mark.parametrize("io", ["float32", "int16"])
def test_int16_activations(trained, io):
    result = convert(trained[1], "static_int16x8", pictures(16)[0], io=io)
    assert result.report.comparison.snr_db > 40
    assert result.report.inspection.is_strict_int8
    assert result.report.inspection.inputs[0].dtype == io


def fixed_latencies(monkeypatch, **latencies_ms):
    """Latencies as a large network has them, so that the choice does not depend on noise."""
    defaults = {"static_int8": 1, "mixed_int8": 1.02, "dynamic_int8": 2, "float16": 3, "float32": 3}
    latencies = defaults | latencies_ms
    monkeypatch.setitem(
        choose.__globals__,
        "latencies_ms",
        lambda files, image, runs: {n: latencies[n] for n in files},
    )


def test_auto_takes_the_fastest_recipe_that_agrees(trained, monkeypatch):
    name, model = trained
    fixed_latencies(monkeypatch)
    result = convert(model, "auto", pictures(48)[0], min_agreement=0.95)
    assert result.recipe.name == {"usual": "static_int8", "tiny": "mixed_int8"}[name]
    choices = {choice.recipe: choice for choice in result.report.choices}
    assert tuple(choices) == CANDIDATES
    assert [choice.recipe for choice in choices.values() if choice.chosen] == [result.recipe.name]
    assert bool(choices["static_int8"].problem) == (name == "tiny")
    assert f"* {result.recipe.name}" in str(result.report)
    json.dumps(result.to_dict(), allow_nan=False)


def test_auto_measures_all_files_in_turn(trained):
    result = convert(trained[1], "auto", pictures(8)[0])
    assert all(choice.latency_ms > 0 for choice in result.report.choices)
    chosen = next(choice for choice in result.report.choices if choice.chosen)
    assert chosen.recipe == result.recipe.name
    assert chosen.agreement >= 0.99


def test_auto_bounds_the_accuracy_by_labels(trained, monkeypatch):
    fixed_latencies(monkeypatch, static_int8=5)
    images = Images(*pictures(48))
    result = convert(trained[1], "auto", images, max_accuracy_drop=0.02)
    assert result.recipe.name == "mixed_int8"  # static_int8 is slow on this machine
    chosen = next(choice for choice in result.report.choices if choice.chosen)
    assert chosen.file_accuracy >= result.report.comparison.float_accuracy - 0.02


def test_auto_raises_when_no_file_keeps_the_bound(trained):
    with pytest.raises(BoundNotMet, match=r"No recipe keeps .*\n.*static_int8") as caught:
        convert(trained[1], "auto", pictures(8)[0], min_snr_db=1000)
    assert caught.value.result.report.comparison.snr_db > 50


def test_auto_leaves_out_what_cannot_take_the_io_or_cannot_be_made(monkeypatch):
    fixed_latencies(monkeypatch)
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(keras.ops.sin(layers.Conv2D(4, 3)(inputs)))
    model = keras.Model(inputs, layers.Dense(3)(x))
    images = pictures(8)[0][:, :8, :8]
    result = convert(model, "auto", images, io="float32")
    problems = {c.recipe: c.problem for c in result.report.choices}
    assert problems["static_int8"].startswith("no file: The converter left float operators")
    assert result.recipe.name == "dynamic_int8"
    with pytest.raises(RuntimeError, match="No recipe gives a file"):
        convert(model, "auto", images, io="uint8")


def test_auto_needs_images_and_max_accuracy_drop_needs_labels(trained):
    with pytest.raises(ValueError, match="'auto' needs images"):
        convert(trained[1], "auto")
    with pytest.raises(ValueError, match=r"needs labels.*Received: max_accuracy_drop=0\.01"):
        convert(trained[1], "static_int8", pictures(4)[0], max_accuracy_drop=0.01)


def scaled_model(scales):
    """A 1x1 convolution that multiplies the channels, and one behind it."""
    inputs = keras.Input((8, 8, 4))
    first = layers.Conv2D(4, 1, use_bias=False, name="first")
    x = layers.Conv2D(2, 1, name="second")(layers.MaxPooling2D(2)(first(inputs)))
    model = keras.Model(inputs, x)
    first.set_weights([np.diag(scales).astype("float32")[None, None]])
    return model


def errors_of(model, calibration, images, recipe="static_int8", io="int8"):
    from keras_se.tflite.converter import convert_file
    from keras_se.tflite.lowering.lower import lower
    from keras_se.tflite.recipe import get_recipe

    recipe = get_recipe(recipe)
    file, calibrated = convert_file(lower(model), recipe, io, Images(calibration), False)
    return layer_errors(calibrated, file, Images(images))


INTEGERS = (("static_int8", "int8", 500), ("static_int16x8", "int16", 1e5))


@pytest.mark.parametrize(("recipe", "io", "factor"), INTEGERS)
def test_an_outlier_channel_is_named(recipe, io, factor):
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    errors = errors_of(scaled_model([1, 1, factor, 1]), images, images, recipe, io)
    assert "outlier channel 2" in errors[0].reason
    if io == "int16":  # which holds what is too much for int8
        errors = errors_of(scaled_model([1, 1, 500, 1]), images, images, recipe, io)
        assert errors[0].reason is None


@pytest.mark.parametrize(("recipe", "io", "factor"), INTEGERS)
def test_clipping_is_named(recipe, io, factor):
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    errors = errors_of(scaled_model([1, 1, 1, 1]), images, images * 3, recipe, io)
    assert errors[0].reason.startswith("clipped, values in [-")
    assert f"where {io} holds" in errors[0].reason
    assert worst_layers(errors)[0].operator == "CONV_2D"


def test_gates_are_found_where_they_multiply_something_larger(trained):
    from keras_se.tflite.file import flatfile

    file = convert(trained[1], "float32").model
    assert len(find_gates(flatfile.unpack(file))) == 1
    (gate,) = measure_gates(file, Images(pictures(4)[0]))
    assert 0 < gate.mean < 1
