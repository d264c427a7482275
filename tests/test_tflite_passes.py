"""The exact rewrites before conversion: equal outputs, and what they do to the operators."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_se import applications
from keras_se.applications.blocks.residual import ResidualSpec
from keras_se.applications.construction.choices import customise
from keras_se.applications.registry import MODELS
from keras_se.layers import CBAM, GroupedConv2D, ResidualTail, SqueezeExcite
from keras_se.tflite import Lowering, convert, get_recipe, lower
from keras_se.tflite.passes import PASSES, apply_passes, rewrite
from keras_se.tflite.passes.fold_squeeze import fold_squeeze
from keras_se.tflite.passes.hard_swish import hard_swish
from keras_se.tflite.passes.integer_activation import (
    FORMS,
    IntegerActivation,
    integer_activation,
)
from keras_se.tflite.passes.integer_norm import Standardize, UnitVector, integer_norm
from keras_se.tflite.passes.merge_groups import merge_groups, merged_groups, widen_groups
from keras_se.tflite.passes.unroll import unroll
from keras_se.tflite.passes.window_pool import window_pool

layers = keras.layers
INT8, FLOAT32 = get_recipe("static_int8"), get_recipe("float32")
ALL = Lowering(groups="dense", pool="average_pool", channel_mean="conv")


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def randomized(model):
    """Weights and statistics as training leaves them: no BatchNorm is the identity."""
    generator = np.random.default_rng(1)
    for weight in model.weights:
        low, high = (0.5, 2.0) if "variance" in weight.name else (-0.5, 0.5)
        weight.assign(generator.uniform(low, high, weight.shape))
    return model


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def assert_equal(before, after):
    x = random(2, *before.inputs[0].shape[1:])[:1]
    expected = outputs(before, x)
    np.testing.assert_allclose(
        outputs(after, x), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


def bottleneck(expand=None, between=(), gate=None, size=(8, 10)):
    """x -> 1x1 convolution -> BatchNorm -> gate, added to a shortcut."""
    inputs = keras.Input((*size, 8), batch_size=1)
    x = (expand or layers.Conv2D(32, 1, use_bias=False))(inputs)
    x = layers.BatchNormalization()(x)
    for layer in between:
        x = layer(x)
    x = (gate or SqueezeExcite(ratio=4))(x)
    return lower(randomized(keras.Model(inputs, x)))


def dense_gate(x):
    z = layers.GlobalAveragePooling2D()(x)
    z = layers.Dense(16, activation="sigmoid")(layers.Dense(4, activation="relu")(z))
    return layers.Multiply()([x, layers.Reshape((1, 1, 16))(z)])


def test_folding_reads_the_narrow_map_and_makes_the_reduction_small():
    before = bottleneck()
    after = rewrite(before, fold_squeeze, Lowering(), INT8)
    assert_equal(before, after)
    squeeze = next(x for x in after.layers if isinstance(x, layers.GlobalAveragePooling2D))
    assert squeeze.input.shape == (1, 8, 10, 8)
    kernels = [
        tuple(layer.kernel.shape) for layer in after.layers if isinstance(layer, layers.Conv2D)
    ]
    assert sorted(kernels) == [(1, 1, 8, 8), (1, 1, 8, 32), (1, 1, 8, 32)]
    assert len({layer.name for layer in after.layers}) == len(after.layers) == len(before.layers)
    assert rewrite(before, fold_squeeze, Lowering(fold_squeeze=False), INT8) is before


@pytest.mark.parametrize(
    "arguments",
    [
        {"expand": layers.Conv2D(32, 1, bias_initializer="ones")},
        {"between": [layers.BatchNormalization(scale=False, center=False, name="second_norm")]},
        {"gate": SqueezeExcite(ratio=4, use_bias=False, gate="hard_sigmoid")},
        {"gate": CBAM(ratio=4)},
        {"expand": layers.Conv2D(16, 1), "gate": dense_gate},
    ],
)
def test_folding_is_exact_for_biases_other_gates_and_dense_layers(arguments):
    before = bottleneck(**arguments)
    after = rewrite(before, fold_squeeze, Lowering(), INT8)
    assert (after is before) == ("between" in arguments)  # two BatchNorms are not a bottleneck
    assert_equal(before, after)


@pytest.mark.parametrize(
    "arguments",
    [
        {"between": [layers.ReLU()]},
        {"expand": layers.Conv2D(32, 1, activation="relu")},
        {"expand": layers.Conv2D(32, 3)},
        {"expand": layers.Conv2D(32, 1, strides=2)},
        {"expand": layers.Conv2D(32, 1, groups=2)},
        {"expand": layers.Conv2D(8, 1)},
        {"expand": layers.DepthwiseConv2D(1)},
        {"gate": SqueezeExcite(ratio=2, squeeze="max")},
    ],
)
def test_folding_leaves_what_does_not_commute_or_does_not_pay(arguments):
    before = bottleneck(**arguments)
    assert rewrite(before, fold_squeeze, Lowering(), INT8) is before


@pytest.mark.parametrize(
    "between", [layers.BatchNormalization(axis=1), layers.GlobalAveragePooling2D("channels_first")]
)
def test_what_goes_along_other_axes_stays(between):
    inputs = keras.Input((32, 10, 8), batch_size=1)
    x = between(layers.Conv2D(32, 1)(inputs))
    x = layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    before = randomized(keras.Model(inputs, layers.Dense(4)(x)))
    assert_equal(before, apply_passes(before, Lowering(pool="average_pool"), INT8))


def test_other_readers_of_a_folded_squeeze_keep_it():
    inputs = keras.Input((8, 8, 4), batch_size=1)
    x = layers.BatchNormalization()(layers.Conv2D(16, 1)(inputs))
    z = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(16, 1, activation="sigmoid")(layers.Conv2D(2, 1)(z))
    before = randomized(keras.Model(inputs, layers.Concatenate()([x * gate, x * z])))
    after = rewrite(before, fold_squeeze, Lowering(), INT8)
    assert_equal(before, after)
    pools = [x for x in after.layers if isinstance(x, layers.GlobalAveragePooling2D)]
    assert sorted(pool.input.shape[-1] for pool in pools) == [4, 16]


def test_layers_that_are_called_twice_are_left_alone():
    inputs = keras.Input((8, 8, 8), batch_size=1)
    shared = [layers.Conv2D(32, 1), layers.BatchNormalization(), layers.Conv2D(8, 1)]
    x = inputs
    for _ in range(2):
        y = shared[1](shared[0](x))
        z = shared[2](layers.GlobalAveragePooling2D(keepdims=True)(y))
        x = layers.Multiply()([x, layers.Activation("sigmoid")(z)])
    before = randomized(keras.Model(inputs, x))
    assert rewrite(before, fold_squeeze, Lowering(), INT8) is before
    after = apply_passes(before, ALL, INT8)
    assert_equal(before, after)
    assert sum(isinstance(layer, layers.Conv2D) for layer in after.layers) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folds"),
    [("SEResNet50", 16), ("SEResNeXt26", 8), ("SEResNet18", 0), ("CBAMResNet50", 16)],
)
def test_folding_of_whole_networks(name, folds):
    network = getattr(applications, name)(weights=None, input_shape=(32, 32, 3), classes=5)
    before = lower(network)
    after = rewrite(before, fold_squeeze, Lowering(), INT8)
    assert sum(layer.name.endswith("_reduce_squeeze") for layer in after.layers) == folds
    assert_equal(before, after)


QUICK = {"SEResNet50", "SEResNeXt50", "SENet154"}
SE_BOTTLENECKS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name, constructor in MODELS.items()
    if isinstance(constructor.spec, ResidualSpec)
    and (constructor.spec.block, constructor.spec.attention) == ("bottleneck", "se")
]
# Their 3x3 convolutions are as wide as the blocks: the squeeze would read as much.
AS_WIDE = {"SEResNeXt101_64x4d", "SEResNeXt101_32x8d", "SEResNeXt101D_32x8d", "SENet154"}


@pytest.mark.parametrize("name", SE_BOTTLENECKS)
def test_folding_of_the_blocks_of_every_bottleneck_network(name):
    """The network's own stem and blocks, two of them and narrower."""
    spec = replace(customise(MODELS[name].spec), depths=(1, 1), widths=(32, 64), stages=(2, 3))
    inputs = keras.Input((32, 32, 3))
    before = lower(randomized(keras.Model(inputs, spec.trunk(inputs))))
    after = apply_passes(before, Lowering(), INT8)
    folds = sum(layer.name.endswith("_reduce_squeeze") for layer in after.layers)
    assert folds == (0 if name in AS_WIDE else 2)
    assert_equal(before, after)


def test_se_of_a_basic_block_is_not_folded_in_a_tail():
    x = inputs = keras.Input((8, 8, 8), batch_size=1)
    x = layers.Conv2D(8, 3, padding="same")(x)
    before = lower(keras.Model(inputs, ResidualTail(SqueezeExcite(ratio=4))([x, inputs])))
    assert rewrite(before, fold_squeeze, Lowering(), INT8) is before


@pytest.mark.parametrize("merged", [1, 2, 4, 8])
@pytest.mark.parametrize("options", [{"padding": "same"}, {"strides": 2}, {"dilation_rate": 2}])
def test_merged_groups_compute_the_same(merged, options):
    x = random(2, 9, 9, 16)
    conv = layers.Conv2D(24, 3, groups=8, **options)
    expected = conv(x)
    wide = layers.Conv2D(24, 3, groups=merged, **options)
    wide.build(x.shape)
    wide.set_weights([widen_groups(conv.get_weights()[0], 8, merged), conv.get_weights()[1]])
    np.testing.assert_allclose(wide(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "groups", "recipe", "expected"),
    [
        (4, "auto", INT8, 8),
        (8, "auto", INT8, 16),
        (16, "auto", INT8, 32),
        (4, "auto", FLOAT32, 32),
        (4, "keep", INT8, 32),
        (4, "dense", FLOAT32, 1),
    ],
)
def test_groups_by_width_and_recipe(width, groups, recipe, expected):
    conv = layers.Conv2D(32 * width, 1, groups=32, use_bias=False)
    conv.build((1, 4, 4, 32 * width))
    assert merged_groups(conv, groups, recipe.activations) == expected


@pytest.mark.parametrize("groups", ["auto", "keep", "dense"])
def test_a_grouped_convolution_stays_one_operator(groups):
    inputs = keras.Input((12, 12, 16))
    model = keras.Model(inputs, GroupedConv2D(32, 3, groups=4, activation="relu")(inputs))
    images = random(4, 12, 12, 16)
    result = convert(model, "static_int8", images, lowering=Lowering(groups=groups))
    assert result.report.inspection.sequence == ("QUANTIZE", "CONV_2D", "QUANTIZE")
    assert result.report.comparison.snr_db > 30


@pytest.mark.parametrize("gate", [SqueezeExcite(ratio=4), dense_gate])
def test_average_pools_replace_every_mean(gate):
    model = bottleneck(layers.Conv2D(16, 1), gate=gate)
    result = convert(model, "float32", lowering=Lowering(pool="average_pool"))
    sequence = result.report.inspection.sequence
    assert "MEAN" not in sequence
    assert "AVERAGE_POOL_2D" in sequence
    assert result.report.comparison.snr_db > 100


def test_the_channel_mean_is_a_convolution_on_request():
    model = bottleneck(layers.Conv2D(16, 3), gate=CBAM(ratio=4))
    count = convert(model, "float32").report.inspection.sequence.count
    changed = convert(model, "float32", lowering=Lowering(channel_mean="conv"))
    count_changed = changed.report.inspection.sequence.count
    assert (count("MEAN"), count_changed("MEAN")) == (2, 1)
    assert count_changed("CONV_2D") == count("CONV_2D") + 1
    assert changed.report.comparison.snr_db > 100


@pytest.mark.parametrize(
    ("arguments", "scaled"),
    [
        ({"pool_size": 3, "strides": 1, "padding": "same"}, True),
        ({"pool_size": (2, 5), "strides": 3, "padding": "same"}, True),
        ({"pool_size": 2, "padding": "same"}, True),  # of 9 rows, the last window is cut
        ({"pool_size": (1, 2), "strides": 2, "padding": "same"}, False),
        ({"pool_size": (4, 3), "strides": 2}, False),
    ],
)
def test_window_pools_are_convolutions(arguments, scaled):
    inputs = keras.Input((9, 8, 4), batch_size=1)
    pool = layers.AveragePooling2D(**arguments, name="pool")
    before = keras.Model(inputs, layers.Conv2D(2, 1)(pool(inputs)))
    after = rewrite(before, window_pool, Lowering(), INT8)
    kinds = [type(layer) for layer in after.layers[1:]]
    rescaling = [layers.Rescaling] * scaled
    assert kinds == [layers.DepthwiseConv2D, *rescaling, layers.Conv2D]
    assert_equal(before, after)
    for options, recipe in (({}, FLOAT32), ({"window_pool": "keep"}, INT8)):
        assert rewrite(before, window_pool, Lowering(**options), recipe) is before


def test_a_window_pool_of_two_strides_stays():
    inputs = keras.Input((9, 8, 4), batch_size=1)
    before = keras.Model(inputs, layers.AveragePooling2D((2, 3))(inputs))
    assert rewrite(before, window_pool, Lowering(), INT8) is before


def hard_swishes(inputs):
    """One that a convolution alone reads, one with two readers, one inside a convolution."""
    swish = keras.activations.hard_silu
    x = layers.Activation(swish)(layers.Conv2D(8, 3)(inputs))
    x = layers.Activation(swish)(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Add()([x, layers.Conv2D(8, 1, activation=swish)(x)])
    return layers.Dense(3, activation=swish)(layers.Flatten()(x))


def test_hard_swishes_are_products():
    inputs = keras.Input((9, 8, 4), batch_size=1)
    before = keras.Model(inputs, hard_swishes(inputs))
    randomized(before)
    after = rewrite(before, hard_swish, Lowering(), INT8)
    assert_equal(before, after)
    names = [layer.name.rsplit("_", 1)[-1] for layer in after.layers]
    assert (names.count("relu6"), names.count("sixth")) == (3, 2)
    for options, recipe in (({}, FLOAT32), ({"hard_swish": "keep"}, INT8)):
        assert rewrite(before, hard_swish, Lowering(**options), recipe) is before


def test_an_output_that_is_a_hard_swish_is_not_lost():
    inputs = keras.Input((4, 4, 3), batch_size=1)
    x = layers.Activation("hard_silu")(inputs)
    before = keras.Model(inputs, x)
    after = rewrite(before, hard_swish, Lowering(), INT8)
    assert_equal(before, after)


def test_xnnpack_takes_window_pools_and_hard_swishes_of_integers():
    inputs = keras.Input((9, 8, 4))
    x = layers.AveragePooling2D(3, 1, padding="same")(inputs)
    x = layers.AveragePooling2D(2)(layers.Activation("hard_silu")(layers.Conv2D(8, 3)(x)))
    model = keras.Model(inputs, layers.Conv2D(4, 1)(layers.Activation("hard_silu")(x)))
    images = random(8, 9, 8, 4)
    inspection = convert(model, "static_int8", images, min_snr_db=30).report.inspection
    assert inspection.partitions == 1
    assert set(inspection.not_delegated) == {"QUANTIZE"}
    lowering = Lowering(window_pool="keep", hard_swish="keep")
    kept = convert(model, "static_int8", images, lowering=lowering).report.inspection
    assert {"AVERAGE_POOL_2D", "HARD_SWISH"} < set(kept.not_delegated)


@pytest.mark.parametrize("apply", PASSES)
def test_every_pass_says_why(apply):
    assert len(apply.__doc__.splitlines()) > 3


@pytest.mark.slow
def test_all_passes_together_keep_a_network():
    network = applications.CBAMResNeXt50(weights=None, input_shape=(32, 32, 3), classes=5)
    before = lower(network)
    after = apply_passes(before, ALL, INT8)
    assert_equal(before, after)
    kinds = {type(layer) for layer in after.layers}
    assert layers.GlobalAveragePooling2D not in kinds
    assert layers.GlobalAveragePooling1D not in kinds
    assert {getattr(layer, "groups", 1) for layer in after.layers} == {1}


def test_all_passes_together_keep_a_block():
    before = bottleneck(GroupedConv2D(32, 3, groups=4), gate=CBAM(ratio=4))
    after = apply_passes(before, ALL, INT8)
    assert_equal(before, after)
    names = [layer.name for layer in after.layers]
    assert len(set(names)) == len(names)
    assert {getattr(layer, "groups", 1) for layer in after.layers} == {1}


def test_a_pass_that_changes_the_outputs_is_an_error(monkeypatch):
    def double(operation, graph, lowering, recipe):
        if isinstance(operation, layers.BatchNormalization):
            return lambda new: 2 * new(operation.input)
        return None

    monkeypatch.setitem(apply_passes.__globals__, "PASSES", (double,))
    with pytest.raises(RuntimeError, match="changed its output"):
        apply_passes(bottleneck(), Lowering(), INT8)


@pytest.mark.parametrize(
    "arguments",
    [
        {"groups": "split"},
        {"pool": "max"},
        {"channel_mean": 1},
        {"fold_squeeze": None},
        {"window_pool": "max"},
        {"hard_swish": True},
    ],
)
def test_unknown_choices_are_refused(arguments):
    with pytest.raises(ValueError, match="Received: " + next(iter(arguments))):
        Lowering(**arguments)


def test_a_pass_that_finds_nothing_returns_the_model_itself():
    model = lower(keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1)]))
    assert apply_passes(model, Lowering(), INT8) is model
    assert rewrite(model, merge_groups, ALL, INT8) is model


def activated(function, size=(6, 6, 4)):
    """A layer of an activation, and a convolution and a dense layer that carry it."""
    inputs = keras.Input(size, batch_size=1)
    x = layers.Activation(function)(layers.Conv2D(8, 3)(inputs))
    x = layers.Conv2D(8, 3, activation=function)(x)
    return randomized(keras.Model(inputs, layers.Dense(4, activation=function)(x)))


@pytest.mark.parametrize("function", FORMS, ids=lambda each: each.__name__)
def test_activations_that_integers_lack(function):
    before = activated(function)
    after = rewrite(before, integer_activation, Lowering(), INT8)
    kinds = [type(layer) for layer in after.layers]
    assert kinds.count(IntegerActivation) == 3
    assert_equal(before, after)
    assert rewrite(before, integer_activation, Lowering(), FLOAT32) is before
    pictures = random(16, 6, 6, 4)
    result = convert(before, "static_int8", pictures, min_snr_db=30)
    assert result.report.inspection.is_strict_int8
    loud = convert(before, "static_int8", 200 * pictures)  # exponentials of 88 overflow
    assert loud.report.comparison.snr_db > 25


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(4, 3, activation="elu"),
        layers.Conv1DTranspose(4, 3, activation="elu"),
        layers.DepthwiseConv1D(3, activation="elu"),
        layers.EinsumDense("abc,cd->abd", (None, 4), activation="elu"),
        layers.SeparableConv1D(4, 3, activation="elu"),
    ],
)
def test_activations_of_layers_over_rows_of_pixels(layer):
    inputs = keras.Input((6, 5, 4), batch_size=1)
    before = randomized(keras.Model(inputs, layer(layers.Reshape((30, 4))(inputs))))
    after = rewrite(before, integer_activation, Lowering(), INT8)
    assert isinstance(after.layers[-1], IntegerActivation)
    assert_equal(before, after)


OPERATIONS = {
    "elu": lambda x: keras.ops.elu(x, 0.3),
    "ELU": layers.ELU(0.3),
    "celu": keras.ops.celu,
    "log_sigmoid": keras.ops.log_sigmoid,
    "selu": keras.ops.selu,
    "softplus": keras.ops.softplus,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_activations_too_and_an_elu_keeps_its_alpha(name):
    inputs = keras.Input((6, 6, 4), batch_size=1)
    before = keras.Model(inputs, OPERATIONS[name](inputs))
    after = rewrite(before, integer_activation, Lowering(), INT8)
    assert isinstance(after.layers[-1], IntegerActivation)
    assert_equal(before, after)


class Normalize(layers.Layer):
    def call(self, x):
        return x / 255


class Elu(Normalize):
    pass


@pytest.mark.parametrize("kind", [Normalize, Elu])
def test_a_layer_of_the_name_of_an_operation_is_another(kind):
    before = lower(keras.Sequential([keras.Input((6, 6, 4)), kind()]))
    assert apply_passes(before, Lowering(), INT8) is before


def test_a_celu_of_another_alpha_is_no_elu():
    inputs = keras.Input((6, 6, 4), batch_size=1)
    before = keras.Model(inputs, keras.ops.celu(inputs, alpha=0.5))
    assert rewrite(before, integer_activation, Lowering(), INT8) is before


NORMS = {
    "layer": lambda: layers.LayerNormalization(epsilon=1e-6),
    "layer, two axes": lambda: layers.LayerNormalization((-2, -1)),
    "layer, plain": lambda: layers.LayerNormalization(center=False, scale=False),
    "group": lambda: layers.GroupNormalization(2),
    "instance": lambda: layers.GroupNormalization(-1, scale=False),
    "rms": layers.RMSNormalization,
    "unit": layers.UnitNormalization,
    "unit, operation": lambda: lambda x: keras.ops.normalize(x, axis=-1),
}


@pytest.mark.parametrize("norm", NORMS)
def test_norms_that_integers_lack(norm):
    inputs = keras.Input((6, 5, 8), batch_size=1)
    x = NORMS[norm]()(layers.Conv2D(8, 3, padding="same")(inputs))
    before = randomized(keras.Model(inputs, layers.Conv2D(8, 3)(x)))
    after = rewrite(before, integer_norm, Lowering(), INT8)
    assert {Standardize, UnitVector} & {type(layer) for layer in after.layers}
    assert_equal(before, after)
    assert rewrite(before, integer_norm, Lowering(), FLOAT32) is before
    result = convert(before, "static_int8", random(16, 6, 5, 8), min_snr_db=30)
    assert result.report.inspection.is_strict_int8


BACKWARDS = layers.LSTM(5, go_backwards=True)


@pytest.mark.parametrize(
    ("layer", "recipe"),
    [
        (layers.Bidirectional(layers.GRU(5)), "static_int8"),
        (layers.Bidirectional(layers.GRU(5), backward_layer=BACKWARDS), ""),
        (layers.SimpleRNN(5, return_sequences=True), "static_int8"),
        (layers.LSTM(5), "static_int16x8"),
        (layers.RNN([layers.GRUCell(5), layers.LSTMCell(4)]), "static_int8"),
        (layers.Bidirectional(layers.GRU(5, unroll=True), backward_layer=BACKWARDS), ""),
        (keras.Sequential([layers.Reshape((4, 6, 3)), layers.ConvLSTM1D(2, 3)]), "static_int8"),
    ],
)
def test_recurrent_layers_are_unrolled_for_integers(layer, recipe):
    """TensorFlow's calibrator ends the process in a loop."""
    inputs = keras.Input((4, 6, 3))
    before = lower(randomized(keras.Model(inputs, layer(layers.Reshape((4, 18))(inputs)))))
    after = rewrite(before, unroll, Lowering(), INT8)
    assert after is not before
    assert rewrite(before, unroll, Lowering(), FLOAT32) is before
    assert_equal(before, after)
    if recipe:
        convert(before, recipe, random(16, 4, 6, 3), min_snr_db=25)


def test_a_loop_is_refused_before_the_calibration():
    class Powers(layers.Layer):
        """x^8, by a loop."""

        def call(self, x):
            return keras.ops.fori_loop(0, 3, lambda i, y: y * y, x)

    inputs = keras.Input((4, 6, 3))
    model = keras.Model(inputs, layers.Flatten()(Powers(name="powers")(inputs)))
    with pytest.raises(RuntimeError, match=r"'static_int8' takes no loops.*powers.*/while"):
        convert(model, "static_int8", random(2, 4, 6, 3))


def test_a_recurrent_layer_of_many_steps_is_refused_before_the_calibration():
    inputs = keras.Input((300, 2, 3))
    model = keras.Model(inputs, layers.GRU(2)(layers.Reshape((300, 6))(inputs)))
    with pytest.raises(RuntimeError, match=r"at most 256 steps.*'gru.*of 300 steps"):
        convert(model, "static_int8", random(2, 300, 2, 3))
