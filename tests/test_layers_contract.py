"""What every public layer promises, for each line of the tables and the other layers.

A new line in `GATES` or `CONVS` adds its tests here without an edit; a new public layer
outside the tables fails `test_every_public_layer_has_a_case` until it has a case.
"""

import inspect
import itertools
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from keras_se import layers
from keras_se.layers import CONVS, GATES, GroupedConv2D, PaddedShortcut, ResidualTail
from keras_se.lowering import lower_layer

CHANNELS = 32
BACKEND = keras.backend.backend()


class Case(NamedTuple):
    """How to make a layer for the contract, and what it takes."""

    layer: type[keras.layers.Layer]
    make: Callable[..., keras.layers.Layer]
    takes_pair: bool = False

    def inputs(self, tensor):
        return [tensor, tensor] if self.takes_pair else tensor


def gated_tail(gate=layers.SqueezeExcite, dtype=None, data_format=None, **kwargs):
    shared = {"dtype": dtype, "data_format": data_format}
    return ResidualTail(gate=gate(**shared), **shared, **kwargs)


CASES = {
    **{f"gate {name}": Case(gate, gate) for name, gate in GATES.items()},
    **{
        f"conv {name}, strides {strides}": Case(conv, partial(conv, 64, strides=strides, groups=4))
        for name, conv in CONVS.items()
        for strides in (1, 2)
    },
    "grouped convolution": Case(
        GroupedConv2D, partial(GroupedConv2D, 64, 3, padding="same", groups=4)
    ),
    "padded shortcut": Case(PaddedShortcut, partial(PaddedShortcut, 64, strides=2)),
    "dilated average": Case(layers.DilatedAverage, partial(layers.DilatedAverage, 2)),
    "residual tail": Case(ResidualTail, ResidualTail, takes_pair=True),
    "gated residual tail": Case(ResidualTail, gated_tail, takes_pair=True),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    keras.utils.set_random_seed(0)
    return request.param


def images(height=10, width=9, batch=2):
    shape = (batch, height, width, CHANNELS)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def randomise(layer):
    """Random weights; scales and variances between 0.5 and 1.5."""
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(
            rng.uniform(0.5, 1.5, weight.shape)
            if positive
            else rng.normal(scale=0.3, size=weight.shape)
        )
    return layer


def built(case, **kwargs):
    """A layer of the case with random weights."""
    layer = case.make(**kwargs)
    layer.build(case.inputs((None, 10, 9, CHANNELS)))
    return randomise(layer)


def evaluate(layer, case, x):
    """The layer's output in inference mode, as float32 numbers."""
    outputs = layer(case.inputs(ops.convert_to_tensor(x)), training=False)
    return ops.convert_to_numpy(ops.cast(outputs, "float32"))


def model_of(layer, case, shape=(10, 9, CHANNELS)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(case.inputs(inputs)))


# BatchNorm takes any rank, as Keras' layer does; a spatial transformer samples pictures and
# has no lowered form. Both have tests of their own.
OUTSIDE_THE_CONTRACT = {layers.BatchNorm, layers.SpatialTransformer}


def test_every_public_layer_has_a_case():
    public = {layer for layer in vars(layers).values() if isinstance(layer, type)}
    assert public - OUTSIDE_THE_CONTRACT == {case.layer for case in CASES.values()}


def test_build_makes_every_weight_by_name(case):
    by_shape, by_call = case.make(name="x"), case.make(name="x")
    by_shape.build(case.inputs((None, 10, 9, CHANNELS)))
    by_call(case.inputs(images()))
    paths = [weight.path for weight in by_shape.weights]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("x/") for path in paths)
    assert len(by_call.weights) == len(paths)
    assert [w.shape for w in by_call.weights] == [w.shape for w in by_shape.weights]


def test_no_two_kernels_start_equal(case):
    layer = case.make()
    layer.build(case.inputs((None, 10, 9, CHANNELS)))
    kernels = [ops.convert_to_numpy(w) for w in layer.weights if w.name == "kernel"]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(kernels, 2))


def test_symbolic_and_eager_shapes_agree(case):
    layer = case.make()
    symbolic = layer(case.inputs(keras.Input((10, 9, CHANNELS), batch_size=2))).shape
    eager = tuple(layer(case.inputs(images())).shape)
    declared = layer.compute_output_shape(case.inputs((2, 10, 9, CHANNELS)))
    assert tuple(symbolic) == tuple(declared) == eager


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
def test_a_gate_keeps_the_shape(gate):
    assert gate()(images()).shape == images().shape


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("conv", CONVS.values(), ids=CONVS.keys())
def test_a_conv_divides_the_size_and_rounds_up(conv, strides):
    outputs = conv(64, strides=strides, groups=4)(images(10, 9))
    assert outputs.shape == (2, 10 // strides, -(-9 // strides), 64)


@pytest.mark.parametrize("jit", [False, True])
def test_spatial_sizes_may_be_unknown(case, jit):
    layer = built(case)
    model = model_of(layer, case, (None, None, CHANNELS))
    assert model.output_shape[:3] == (None, None, None)
    model.compile(jit_compile=jit)
    for size in [(10, 9), (5, 12)]:
        predicted = model.predict_on_batch(images(*size))
        np.testing.assert_allclose(predicted, evaluate(layer, case, images(*size)), 1e-5, 1e-5)


def test_config_round_trip(case):
    layer = case.make(name="x")
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config


def test_config_holds_every_argument(case):
    """`data_format` has one legal value and is left out."""
    arguments = set(inspect.signature(case.layer.__init__).parameters)
    assert arguments - {"self", "kwargs", "data_format"} <= set(case.make().get_config())


WITH_NORM = {
    name: case
    for name, case in CASES.items()
    if "momentum" in inspect.signature(case.layer.__init__).parameters
}


@pytest.mark.parametrize("case", WITH_NORM.values(), ids=WITH_NORM)
def test_epsilon_and_momentum_reach_every_norm(case):
    inner = built(case, epsilon=0.01, momentum=0.5)._flatten_layers()
    norms = [layer for layer in inner if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(norm.epsilon, norm.momentum) for norm in norms} <= {(0.01, 0.5)}


@pytest.mark.parametrize("layer", [*GATES.values(), *(partial(c, 64) for c in CONVS.values())])
def test_every_kernel_may_have_an_initializer_and_a_regularizer(layer):
    layer = layer(kernel_initializer=keras.initializers.Constant(0.25), kernel_regularizer="l2")
    layer = type(layer).from_config(layer.get_config())
    layer(images())
    kernels = [w for w in layer.trainable_weights if w.name == "kernel"]
    assert kernels and len(layer.losses) == len(kernels)
    assert any((ops.convert_to_numpy(kernel) == 0.25).all() for kernel in kernels)


def test_saved_model_gives_equal_outputs(case, tmp_path):
    model = model_of(built(case), case)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(images()), model.predict_on_batch(images())
    )


@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_what_keras_quantized_is_saved(case, mode, tmp_path):
    """Dense layers have other weights then, also those inside a layer inside a model."""
    pixels = keras.Input((10, 9, CHANNELS))
    model = keras.Model(pixels, model_of(built(case), case)(pixels))
    model.quantize(mode)
    expected = ops.convert_to_numpy(model(images(), training=False))
    for name in ("once.keras", "twice.keras"):
        model.save(tmp_path / name)
        model = keras.saving.load_model(tmp_path / name)
        np.testing.assert_array_equal(model(images(), training=False), expected)


@pytest.mark.parametrize("jit", [False, True])
def test_every_weight_trains(case, jit):
    """From the initial values; three steps, since a scale that starts at zero stops the
    gradient of what lies before it in the first."""
    layer = case.make()
    model = model_of(layer, case)
    before = [ops.convert_to_numpy(weight) for weight in layer.weights]
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit)
    target = np.random.default_rng(2).normal(size=(2, *model.output_shape[1:]))
    losses = [model.train_on_batch(images(), target) for _ in range(3)]
    assert np.isfinite(losses).all()
    for weight, old in zip(layer.weights, before, strict=True):
        assert not np.array_equal(ops.convert_to_numpy(weight), old), weight.path


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_dtype_policies(case, policy):
    if policy == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float64 only when jax_enable_x64 is set")
    full, layer = built(case), built(case, dtype=policy)
    outputs = layer(case.inputs(images()), training=False)
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    assert {w.dtype for w in layer.weights} <= {layer.variable_dtype}
    expected = evaluate(full, case, images())
    # 8 bits of bfloat16, 11 of float16, through up to five operations
    error = {"mixed_bfloat16": 5e-2, "float64": 1e-6}.get(policy, 5e-3)
    difference = np.abs(ops.convert_to_numpy(ops.cast(outputs, "float32")) - expected).max()
    assert difference <= error * np.abs(expected).max()


def test_a_float16_squeeze_of_a_large_map_does_not_overflow(case):
    """The sum of 112x112 values above 5.2 exceeds 65504, the largest float16."""
    x = np.random.default_rng(0).uniform(40, 100, (1, 112, 112, CHANNELS)).astype("float16")
    full, layer = built(case), built(case, dtype="mixed_float16")
    for either in (full, layer):  # logits of about 0.7, where a gate shows its error
        for weight in either.weights:
            if weight.name == "kernel":
                weight.assign(weight / 100)
    expected, outputs = evaluate(full, case, x.astype("float32")), evaluate(layer, case, x)
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(outputs, expected, atol=1e-2 * np.abs(expected).max())


def test_lowering_equals_the_layer_and_is_primitive(case):
    layer = built(case)
    inputs = keras.Input((10, 9, CHANNELS))
    lowered = keras.Model(inputs, lower_layer(layer, case.inputs(inputs), "lowered"))
    expected = evaluate(layer, case, images())
    np.testing.assert_allclose(lowered.predict_on_batch(images()), expected, 1e-5, 1e-5)
    for made in lowered.layers[1:]:
        assert vars(keras.layers).get(type(made).__name__) is type(made)
        assert made.name.startswith("lowered")
        assert made.dtype_policy.name == "float32"


def test_lowering_of_a_mixed_precision_layer_is_float32(case):
    layer = built(case, dtype="mixed_float16")
    inputs = keras.Input((10, 9, CHANNELS))
    lowered = keras.Model(inputs, lower_layer(layer, case.inputs(inputs), "lowered"))
    assert {made.compute_dtype for made in lowered.layers} == {"float32"}
    expected = evaluate(built(case), case, images())
    np.testing.assert_allclose(lowered.predict_on_batch(images()), expected, 1e-5, 1e-5)


def test_channels_first_argument_is_refused(case):
    with pytest.raises(ValueError, match=r"channels-last.*Received: data_format='channels_first'"):
        case.make(data_format="channels_first")


def test_channels_first_configuration_is_refused(case):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"set_image_data_format.*Received"):
            case.make()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_channels_last_may_be_asked_for_under_another_configuration(case):
    expected = evaluate(built(case), case, images())
    keras.config.set_image_data_format("channels_first")
    try:
        found = evaluate(built(case, data_format="channels_last"), case, images())
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(found, expected)


def test_a_frozen_layer_stays_frozen_in_a_file(case, tmp_path):
    """Inner layers too: BatchNorm's own flag says whether it uses batch statistics."""
    model = model_of(built(case), case)
    for layer in model.layers:
        layer.trainable = False
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert not loaded.trainable_weights
    np.testing.assert_array_equal(loaded(images(), training=True), loaded(images(), training=False))


FROZEN = {"residual tail": ("norm",), "gated residual tail": ("norm",)} | {
    name: ("conv0", "norm0") for name in CASES if name.startswith("conv")
}


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_inner_layers_stay_frozen_in_a_file(name, tmp_path):
    case = CASES[name]
    layer = built(case, name="x")
    for inner in layer._flatten_layers():
        inner.trainable = inner.name not in FROZEN[name]
    model_of(layer, case).save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras").get_layer("x")
    assert [i.name for i in loaded._flatten_layers() if not i.trainable] == list(FROZEN[name])
    copy = type(layer).from_config(layer.get_config() | {"name": "copy"})
    assert copy.get_config()["frozen"] == list(FROZEN[name])
    loaded.trainable = False
    loaded.trainable = True
    assert loaded.get_config()["frozen"] == []


def test_an_unknown_name_of_a_frozen_layer_is_refused():
    with pytest.raises(ValueError, match=r"\['norm'\].*Received: \['nrom'\]"):
        ResidualTail(frozen=("nrom",))([images(), images()])


@pytest.mark.parametrize("shape", [(9, CHANNELS), (4, 10, 9, CHANNELS)], ids=["rank 3", "rank 5"])
def test_another_rank_is_refused(case, shape):
    with pytest.raises(ValueError, match=rf"(?i)received.*{shape[0]}, .*{CHANNELS}"):
        case.make()(case.inputs(keras.Input(shape)))


def test_unknown_channels_are_refused(case):
    with pytest.raises(ValueError, match=r"known number of channels\. Received: .*None\)"):
        case.make()(case.inputs(keras.Input((10, 9, None))))


def test_an_unknown_argument_is_refused(case):
    with pytest.raises((ValueError, TypeError), match="ratoi"):
        case.make(ratoi=4)
