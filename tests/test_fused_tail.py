"""The fused training step equals BatchNorm, gate, addition and ReLU one after the other."""

import functools

import keras
import numpy as np
import pytest

from keras_se.layers import (
    BatchNorm,
    EfficientChannelAttention,
    ResidualTail,
    SelectiveKernelConv2D,
    SqueezeExcite,
)

SHAPE = (6, 8, 8, 32)
FORMS = pytest.mark.parametrize("compiled", [True, False], ids=["xla", "kernels"])
GATES = [functools.partial(SqueezeExcite, ratio=4), EfficientChannelAttention, lambda **_: None]


class Textbook(keras.layers.Layer):
    """The same formula with Keras' own BatchNormalization, step by step."""

    def __init__(self, gate, dtype):
        super().__init__(dtype=dtype)
        self.norm = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, dtype=dtype)
        self.gate = gate

    def call(self, inputs, training=None):
        residual, shortcut = inputs
        residual = self.norm(residual, training=training)
        return keras.ops.relu((self.gate(residual) if self.gate else residual) + shortcut)


def pair(make_gate, dtype, training=True, compiled=True):
    """What a training step of both forms, with the same weights, gives for the same inputs."""
    random = np.random.default_rng(0)
    inputs = [random.normal(2, 3, SHAPE).astype(dtype), random.normal(size=SHAPE).astype(dtype)]
    results = []
    for form in (Textbook, ResidualTail):
        keras.utils.set_random_seed(0)
        tail = form(make_gate(dtype=dtype), dtype=dtype)
        tail(inputs)
        for weights in (tail.norm.weights, tail.gate.weights if tail.gate else []):
            values = np.random.default_rng(1)
            for weight in weights:
                weight.assign(values.uniform(0.3, 0.9, weight.shape))
        results.append(step(tail, inputs, training, compiled))
    return results


def step(tail, inputs, training, compiled):
    """Output, gradients of inputs and weights, and moving statistics of one step."""
    import tensorflow as tf

    weights = tail.norm.trainable_weights + (tail.gate.trainable_weights if tail.gate else [])

    @tf.function(jit_compile=compiled)
    def differentiate(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = tail(inputs, training=training)
            loss = tf.reduce_sum(tf.sin(3 * output))
        return output, tape.gradient(loss, inputs + [w.value for w in weights])

    output, gradients = differentiate([tf.constant(x) for x in inputs])
    return output, gradients, tail.norm.get_weights()


@pytest.mark.parametrize("make_gate", GATES)
@pytest.mark.parametrize(
    "dtype, output_error, gradient_error",
    [
        ("float64", 1e-12, 1e-10),
        ("float32", 1e-5, 1e-3),
    ],
)
@pytest.mark.parametrize("training", [True, False])
@FORMS
def test_equal_to_the_textbook(make_gate, dtype, output_error, gradient_error, training, compiled):
    (expected, gradients, statistics), (output, fused, moved) = pair(
        make_gate, dtype, training, compiled
    )
    np.testing.assert_allclose(output, expected, rtol=output_error, atol=output_error)
    for reference, gradient in zip(gradients, fused, strict=True):
        assert np.abs(gradient - reference).max() <= gradient_error * np.abs(reference).max()
    for reference, value in zip(statistics, moved, strict=True):
        np.testing.assert_allclose(value, reference, rtol=max(output_error, 1e-6))


def test_the_fused_path_is_taken_where_the_gate_reads_means_alone():
    for gate, taken in ((SqueezeExcite(4), True), (SqueezeExcite(4, squeeze="max"), False)):
        assert fuses(ResidualTail(gate), compiled=True) is taken
    assert not fuses(ResidualTail(SqueezeExcite(4), inner_activation="relu"), compiled=True)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_tensorflows_kernel_serves_where_xla_does_not_compile(training, frozen):
    tail = ResidualTail(SqueezeExcite(4))
    tail.build([(None, *SHAPE[1:])] * 2)
    tail.norm.trainable = not frozen
    assert "FusedBatchNormV3" in operations(tail, compiled=False, training=training)
    assert "FusedBatchNormV3" not in operations(tail, compiled=True, training=training)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_dtypes_with_and_without_a_kernel(dtype):
    kernel = "FusedBatchNormV3" in operations(ResidualTail(dtype=dtype), compiled=False)
    assert kernel is (dtype == "bfloat16")


def operations(tail, compiled, training=True):
    """The operators that TensorFlow traces."""
    import tensorflow as tf

    @tf.function(jit_compile=compiled)
    def call(x):
        return tail([x, x], training=training)

    function = call.get_concrete_function(tf.zeros(SHAPE, tail.compute_dtype))
    return {operation.type for operation in function.graph.get_operations()}


def fuses(tail, compiled):
    """Whether the gate's means are read off BatchNorm's statistics."""
    taken = []
    tail._call_fused, call = lambda *a: taken.append(True) or call(*a), tail._call_fused
    operations(tail, compiled)
    return bool(taken)


@pytest.mark.parametrize("fused", [True, False])
def test_fusing_is_an_option_that_is_saved(fused):
    tail = ResidualTail(SqueezeExcite(4), fused=fused)
    assert ResidualTail.from_config(tail.get_config()).fused is fused


@pytest.mark.parametrize("mean", [30.0, 1000.0])
@FORMS
def test_statistics_of_maps_far_from_zero(mean, compiled):
    # Once the moving mean has arrived near the mean, the variance is exact again.
    x = np.random.default_rng(0).normal(mean, 1, (8, 16, 16, 4)).astype("float32")
    norm = BatchNorm()
    norm.build(x.shape)
    norm.moving_mean.assign(np.full(4, mean))
    output = trainer(norm, compiled)(x)
    np.testing.assert_allclose(output.std((0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(output.mean((0, 1, 2)), 0, atol=1e-3)


@FORMS
def test_statistics_before_the_moving_mean_arrives(compiled):
    # 1000 deviations from zero at the first step: no NaN, and the moving mean moves there.
    x = np.random.default_rng(0).normal(1000, 1, (8, 16, 16, 4)).astype("float32")
    norm = BatchNorm()
    norm.build(x.shape)
    train = trainer(norm, compiled)
    assert np.isfinite(train(x)).all()
    for _ in range(100):
        train(x)
    np.testing.assert_allclose(norm.moving_mean, 1000, rtol=1e-3)
    np.testing.assert_allclose(train(x).std(), 1, atol=0.01)


def trainer(layer, compiled, training=True):
    """The layer's call, as XLA runs it or kernel by kernel."""
    import tensorflow as tf

    call = tf.function(lambda x: layer(x, training=training), jit_compile=compiled)
    return lambda x: call(tf.constant(x)).numpy()


@pytest.mark.parametrize("policy, error", [("mixed_float16", 0.02), ("mixed_bfloat16", 0.05)])
@FORMS
def test_mixed_precision_reduces_in_float32(policy, error, compiled):
    """The squares overflow float16, and bfloat16 counts in steps of 2 there."""
    kind = policy.removeprefix("mixed_")
    x = np.random.default_rng(0).normal(300, 5, (4, 64, 64, 32)).astype("float32")
    x = np.asarray(keras.ops.cast(keras.ops.cast(x, kind), "float32"))
    half, full = (
        ResidualTail(SqueezeExcite(4, dtype=dtype), dtype=dtype) for dtype in (policy, "float32")
    )
    for tail in (half, full):
        tail.build([x.shape, x.shape])
        tail.norm.moving_mean.assign(np.full(32, 300.0))
    full.gate.set_weights(half.gate.get_weights())
    output, expected = (
        trainer(lambda x, training, tail=tail: tail([x, x * 0], training=training), compiled)(x)
        for tail in (half, full)
    )
    assert output.dtype.name == kind
    np.testing.assert_allclose(np.asarray(output, "float32"), expected, atol=error)


@FORMS
def test_a_gate_may_compute_in_float32_in_a_tail_of_halves(compiled):
    x = np.random.default_rng(0).normal(size=SHAPE).astype("float16")
    tail = ResidualTail(SqueezeExcite(4, dtype="float32"), dtype="mixed_float16")
    tail.build([SHAPE] * 2)
    seen, excite = [], tail.gate.excite_means
    tail.gate.excite_means = lambda means: seen.append(means.dtype.name) or excite(means)
    train = trainer(lambda x, training: tail([x, x], training=training), compiled)
    assert train(x).dtype == "float16"
    assert seen == ["float32"]


@FORMS
def test_a_penalty_on_what_the_gate_returns_counts(compiled):
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
    tail = ResidualTail(SqueezeExcite(4, activity_regularizer=keras.regularizers.L2(1.0)))
    tail.build([SHAPE] * 2)

    @tf.function(jit_compile=compiled)
    def penalty(x):
        tail([x, x], training=True)
        return sum(tail.losses)

    assert penalty(tf.constant(x)) > 0


@FORMS
def test_frozen_batch_norm_is_inference(compiled):
    x = np.random.default_rng(0).normal(2, 3, SHAPE).astype("float32")
    tail = ResidualTail(SqueezeExcite(4))
    tail([x, x])
    tail.norm.trainable = False
    before = tail.norm.get_weights()
    trained, inferred = (
        trainer(lambda x, training: tail([x, x], training=training), compiled, training)(x)
        for training in (True, False)
    )
    np.testing.assert_allclose(trained, inferred, rtol=1e-6, atol=1e-6)
    for old, new in zip(before, tail.norm.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_mask_is_left_to_keras():
    x = np.random.default_rng(0).normal(2, 3, (4, 6, 5)).astype("float32")
    mask = np.arange(6) < np.array([[6], [4], [3], [1]])
    ours, theirs = BatchNorm(), keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9)
    for norm in (ours, theirs):
        norm(x, training=True, mask=mask)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])  # the kernel, and sums
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"scale": False}, (4, 5, 6, 3)),
        ({"center": False}, (4, 5, 6, 3)),
        ({"synchronized": True}, (4, 5, 6, 3)),
        ({}, (9, 3)),
        ({}, (4, 6, 3)),
        ({}, (2, 3, 4, 5, 3)),
    ],
)
def test_options_and_ranks_are_those_of_keras(options, shape, dtype, training):
    x = np.random.default_rng(0).normal(2, 3, shape).astype(dtype)
    results = []
    for kind in (BatchNorm, keras.layers.BatchNormalization):
        norm = kind(epsilon=1e-5, momentum=0.9, dtype=dtype, **options)
        norm.build(shape)
        for number, weight in enumerate(norm.weights):
            weight.assign(np.random.default_rng(number).uniform(0.3, 0.9, weight.shape))
        results.append([norm(x, training=training), *norm.get_weights()])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_statistics_of_replicas_are_synchronized_by_keras():
    norm, seen = BatchNorm(synchronized=True), []
    norm.build(SHAPE)
    norm._moments, moments = lambda *a: seen.append(a) or moments(*a), norm._moments
    norm(np.ones(SHAPE), training=False)
    assert not seen
    norm(np.ones(SHAPE), training=True)
    assert seen


@pytest.mark.parametrize(
    ("options", "received"), [({"renorm": True}, "renorm=True"), ({"axis": 1}, "axis=1")]
)
def test_renormalisation_and_another_axis_are_refused(options, received):
    with pytest.raises(ValueError, match=received):
        BatchNorm(**options)


def test_arguments_go_by_name_for_the_first_of_keras_is_the_axis():
    with pytest.raises(TypeError, match="positional"):
        BatchNorm(-1)


def test_every_norm_of_a_network_has_this_form():
    from keras_se.applications import SEResNetCIFAR

    model = SEResNetCIFAR(8, conv="sk")
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert all(isinstance(norm, BatchNorm) for norm in norms) and len(norms) > 10
    assert isinstance(SelectiveKernelConv2D(32)._norm("norm"), BatchNorm)
