"""Quantization-aware training: the file equals the model that was trained."""

import keras
import numpy as np
import pytest

from keras_se.applications import ResNetCIFAR, SEResNetCIFAR
from keras_se.layers import GATES
from keras_se.tflite import calibrate_ranges, compare, convert, lower, quantize_aware, strip
from keras_se.tflite.accuracy.scores import snr_db
from keras_se.tflite.qat.deploy import deployed
from keras_se.tflite.qat.fake_quant import FakeQuant
from keras_se.tflite.qat.kernel import Kernel
from keras_se.tflite.qat.layers import QuantizedConv2D
from keras_se.tflite.qat.rounding import fake_quantize_kernel

layers = keras.layers


class Pixels:
    mean, std, channel_order = (127.0,) * 3, (64.0,) * 3, "rgb"

    def __call__(self, images):
        return (np.asarray(images, "float32") - 127.0) / 64.0


def pictures(count=48, size=32):
    """Pictures of one dominant colour each, and which of the three is strongest."""
    random = np.random.default_rng(0)
    colour = random.integers(0, 200, (count, 1, 1, 3))
    images = (colour + random.integers(0, 56, (count, size, size, 3))).astype("uint8")
    return images, images.mean(axis=(1, 2)).argmax(axis=1)


def trained(model, size=32, epochs=4):
    """Trained to name the strongest colour: what is quantized has meaningful statistics."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.8
    images, labels = pictures(128, size)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(Pixels()(images), labels, epochs=epochs, batch_size=16, verbose=0)
    return model


def tuned(quantized, images, labels, jit_compile=False, **options):
    optimizer = keras.optimizers.SGD(1e-3)
    options["jit_compile"] = jit_compile
    quantized.compile(optimizer, "sparse_categorical_crossentropy", **options)
    quantized.fit(images, labels, epochs=1, batch_size=16, verbose=0)
    return quantized


def small_model():
    """The operators that have rules of their own, in a network of a second."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = first = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Concatenate()([layers.Conv2D(8, 1, activation="silu")(x), first])
    x = layers.MaxPooling2D()(x)
    x = layers.Add()([layers.SeparableConv2D(16, 3, padding="same")(x), x])
    x = layers.BatchNormalization()(layers.Activation("relu")(x))
    x = layers.Activation("hard_silu")(layers.GlobalAveragePooling2D()(x) * 2.0 + 0.5)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.1)(x)))


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return trained(small_model(), 16, epochs=8)


@pytest.fixture(scope="module")
def quantized(small):
    return tuned(quantize_aware(small, Pixels()), *pictures(size=16))


def test_half_precision_is_quantized_in_float32(mixed_float16):
    quantized = quantize_aware(small_model(), Pixels(), pictures(8, 16)[0])
    for model in (quantized, strip(quantized)):
        assert {layer.compute_dtype for layer in model.layers[1:]} == {"float32"}
    assert convert(quantized).report.comparison.snr_db > 40


def test_range_is_that_of_the_batches_and_rounds_to_256_values():
    layer = FakeQuant(momentum=0.5)
    x = np.linspace(-1, 2, 1001, dtype="float32")
    layer(x, training=True)
    np.testing.assert_allclose(layer.bounds(), (-1, 2), rtol=1e-6)
    y = np.asarray(layer(x))
    step = 3 / 255
    assert len(np.unique(y)) == 256 and 0.0 in y
    np.testing.assert_allclose(y, x, atol=step / 2 + 1e-6)
    layer(3 * x, training=True)  # the mean of the first two
    np.testing.assert_allclose(layer.bounds(), (-2, 4), rtol=1e-6)
    layer.trainable = False
    layer(100 * x, training=True)
    np.testing.assert_allclose(layer.bounds(), (-2, 4), rtol=1e-6)


def test_a_range_of_pictures_is_the_mean_of_all_batches():
    layer = FakeQuant(momentum=0.5)
    layer.observing = True
    for factor in (1, 2, 6):
        layer(factor * np.array([-1.0, 2.0], "float32"))
    np.testing.assert_allclose(layer.bounds(), (-3, 6), rtol=1e-6)


def test_shared_range_is_the_union():
    layer = FakeQuant(sources=2)
    for _ in range(2):
        layer(np.array([-1.0, 0.5], "float32"), source=0, training=True)
        layer(np.array([0.0, 4.0], "float32"), source=1, training=True)
    np.testing.assert_allclose(layer.bounds(), (-1, 4), rtol=1e-6)


def test_layers_that_are_called_several_times_are_quantized():
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(3, 3, padding="same", activation="silu")
    norm, relu = layers.BatchNormalization(), layers.ReLU()
    inputs = keras.Input((8, 8, 3))
    x = relu(norm(layers.Conv2D(3, 3, name="first")(norm(conv(conv(inputs))))))
    x = relu(layers.Conv2D(4, 3, name="second")(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(model, calibration=images)
    assert len([layer for layer in quantized.layers if layer.name == conv.name]) == 1
    assert snr_db(model(images), quantized(images)) > 20
    np.testing.assert_allclose(strip(quantized)(images), model(images), rtol=1e-4, atol=1e-5)


def test_kernels_round_to_255_values_and_a_zero_channel_stays_zero():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 3)).astype("float32")
    kernel[..., 1] = 0
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    expected = np.round(kernel / np.maximum(step, 1e-9)) * step
    rounded = np.asarray(fake_quantize_kernel(keras.ops.array(kernel), per_channel=True))
    np.testing.assert_allclose(rounded, expected, atol=1e-6)


def test_file_equals_the_trained_model_without_calibration(quantized):
    result = convert(quantized)
    inspection = result.report.inspection
    assert inspection.is_strict_int8
    assert inspection.partitions == 1
    assert (inspection.inputs[0].scale, inspection.inputs[0].zero_point) == (1.0, 0)
    assert result.report.preprocess and result.report.compared_on == "noise"
    images, labels = pictures(size=16)
    comparison = compare(quantized, result.model, images, labels)
    assert comparison.snr_db >= 40
    assert comparison.agreement >= 0.95


def test_training_rounds_floats_and_inference_computes_integers(quantized):
    images, _ = pictures(8, 16)
    floats = keras.Model(quantized.inputs[0], quantized.outputs[0])
    pixels = keras.ops.array(images, "float32")
    inference, rounded = quantized(pixels), floats(pixels)
    assert snr_db(rounded, inference) > 20
    assert np.any(np.asarray(inference) != np.asarray(rounded))
    np.testing.assert_allclose(lower(quantized, batch_size=None)(pixels), inference, rtol=1e-6)


def test_saving_keeps_outputs_and_file(quantized, tmp_path):
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images, _ = pictures(8, 16)
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), quantized.predict(images, verbose=0)
    )
    assert convert(loaded).report.inspection.is_strict_int8


def test_strip_undoes_quantization(small):
    stripped = strip(quantize_aware(small, Pixels()))
    images, _ = pictures(8, 16)
    np.testing.assert_allclose(
        stripped.predict(images, verbose=0),
        small.predict(Pixels()(images), verbose=0),
        rtol=1e-4,
        atol=1e-6,
    )
    assert not any(type(layer).__module__.startswith("keras_se") for layer in stripped.layers)


def test_strip_carries_what_was_trained(quantized):
    before = {w.path: w.numpy() for w in quantized.trainable_weights}
    after = {w.path: w.numpy() for w in strip(quantized).trainable_weights}
    assert before.keys() == after.keys()
    for path, value in before.items():
        np.testing.assert_array_equal(after[path], value)


def test_training_moves_weights_under_jit_and_the_preprocessing_stays():
    images, labels = pictures(32, 16)
    # Of one hidden unit, the default for 16 channels, ReLU may let nothing through.
    model = quantize_aware(gated_model("cbam", ratio=4), Pixels(), images)
    start = {w.path: w.numpy() for w in model.weights}
    tuned(model, images, labels, jit_compile=True)
    moved = {w.path for w in model.trainable_weights if np.any(w.numpy() != start[w.path])}
    assert len(moved) == len(model.trainable_weights)
    preprocess = model.get_layer("preprocess")
    assert not preprocess.trainable_weights
    np.testing.assert_array_equal(preprocess.kernel, start["preprocess/kernel"])


def test_calibrated_ranges_serve_without_training(small):
    images, _ = pictures(size=16)
    model = quantize_aware(small, Pixels(), images)
    plain = small.predict(Pixels()(images), verbose=0)
    assert snr_db(plain, model.predict(images, verbose=0)) > 25
    moving = [w.numpy() for w in model.non_trainable_weights if "moving" in w.path]
    calibrate_ranges(model, images)
    for before, w in zip(
        moving, [w for w in model.non_trainable_weights if "moving" in w.path], strict=True
    ):
        np.testing.assert_array_equal(w.numpy(), before)


def gated_model(gate, **options):
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = GATES[gate](name="gate", **options)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


# Global context: its exponential and inverse square root have no fixed int8 form.
NO_INT8_FORM = {"gc"}


@pytest.mark.parametrize("gate", sorted(NO_INT8_FORM))
def test_gates_without_an_int8_form_are_refused(gate):
    with pytest.raises(ValueError, match="No int8 form is known"):
        quantize_aware(gated_model(gate), Pixels(), pictures(size=16)[0])


@pytest.mark.parametrize("gate", sorted(GATES.keys() - NO_INT8_FORM))
def test_every_gate_trains_and_converts(gate):
    model = trained(gated_model(gate), 16)
    images, labels = pictures(size=16)
    model = quantize_aware(model, Pixels(), images)
    tuned(model, images, labels, run_eagerly=True)  # three steps: to trace them takes longer
    result = convert(model, "static_int8", images)
    assert result.report.inspection.is_strict_int8
    assert result.report.comparison.snr_db >= 40


NETWORKS = {
    "se": lambda: SEResNetCIFAR(8, weights=None),
    "cbam": lambda: ResNetCIFAR(8, weights=None, attention="cbam"),
    "sk": lambda: ResNetCIFAR(8, weights=None, conv="sk"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_reach_40_db(name):
    images, labels = pictures()
    model = tuned(quantize_aware(trained(NETWORKS[name]()), Pixels(), images), images, labels)
    result = convert(model, "static_int8", images)
    assert result.report.inspection.is_strict_int8
    assert result.report.inspection.partitions == 1
    assert result.report.comparison.snr_db >= 40


def with_statistics(model, images):
    """BatchNorm's statistics half initial, half from pictures: untrained, but not degenerate."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    model(Pixels()(images), training=True)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [("MobileNetV2", 64, {"alpha": 0.35}), ("ResNet50", 64, {}), ("InceptionV3", 75, {})],
)
def test_keras_applications_become_the_files_they_compute(name, size, options):
    constructor = getattr(keras.applications, name)
    model = constructor(weights=None, input_shape=(size, size, 3), classes=10, **options)
    images, labels = pictures(16, size)
    model = quantize_aware(with_statistics(model, images), Pixels(), images)
    report = convert(tuned(model, images, labels), calibration=images).report
    assert report.inspection.is_strict_int8
    assert set(report.inspection.not_delegated) <= {"QUANTIZE", "SOFTMAX"}
    assert report.comparison.agreement == 1
    assert report.comparison.snr_db >= 100  # equal but for the last bit of the logits


def test_ranges_that_were_never_set_are_refused(small):
    with pytest.raises(ValueError, match="never set: train the model"):
        convert(quantize_aware(small))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"recipe": "float32"}, "recipe 'static_int8'"), ({"preprocess": Pixels()}, "inside")],
)
def test_conversion_options_that_contradict_the_training_are_refused(quantized, options, message):
    with pytest.raises(ValueError, match=message):
        convert(quantized, **options)


def test_quantizing_twice_and_stripping_a_plain_model_are_refused(small, quantized):
    with pytest.raises(ValueError, match="quantized already"):
        quantize_aware(quantized)
    with pytest.raises(ValueError, match="no FakeQuant layer"):
        strip(small)
    with pytest.raises(TypeError, match="A Keras 3 model is needed"):
        quantize_aware("model.keras")


def test_layers_without_an_int8_form_are_named():
    inputs = keras.Input((8, 8, 3))
    x = layers.PReLU(name="slopes")(inputs)
    x = layers.Conv2DTranspose(3, 3, name="up")(x)
    with pytest.raises(ValueError, match=r"'slopes' \(PReLU\), 'up' \(Conv2DTranspose\)"):
        quantize_aware(keras.Model(inputs, layers.GlobalMaxPooling2D()(x)))


def test_concatenation_of_fixed_ranges_is_refused():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 1)(inputs)
    x = layers.Concatenate()([layers.Activation("sigmoid", name="gate")(x), x])
    with pytest.raises(ValueError, match="stores what is concatenated with one range"):
        quantize_aware(keras.Model(inputs, layers.GlobalMaxPooling2D()(x)))


def test_average_pools_are_convolutions_that_stay_constant():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):  # of equal factors, which the converter takes for one constant
        pool = layers.AveragePooling2D(3, 1, padding="same")(x)
        x = layers.Concatenate()([layers.Conv2D(4, 1)(pool), layers.Conv2D(4, 1)(x)])
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.AveragePooling2D(2)(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    images = np.random.default_rng(0).normal(size=(32, 12, 12, 3)).astype("float32")
    quantized = quantize_aware(model, calibration=images)
    convolutions = [x for x in quantized.layers if isinstance(x, layers.DepthwiseConv2D)]
    pools = [layer for layer in convolutions if layer.name.startswith("average_pooling")]
    constant = [np.copy(weight) for pool in pools for weight in pool.weights]
    assert len(constant) == 3 and not any(pool.trainable_weights for pool in pools)
    quantized.compile(keras.optimizers.SGD(1e-2), "mse", jit_compile=False)
    quantized.fit(images, np.ones((32, 3)), batch_size=16, verbose=0)
    for before, weight in zip(constant, [w for p in pools for w in p.weights], strict=True):
        np.testing.assert_array_equal(weight, before)
    report = convert(quantized, calibration=images).report
    assert (report.inspection.is_strict_int8, report.inspection.partitions) == (True, 1)
    assert set(report.inspection.not_delegated) == {"QUANTIZE"}
    assert report.comparison.snr_db >= 100
    again = quantize_aware(strip(quantized), calibration=images)
    assert convert(again, calibration=images).report.comparison.snr_db >= 100


def test_an_average_pool_is_stripped_of_its_rounding(tmp_path):
    inputs = keras.Input((9, 10, 4))
    x = layers.AveragePooling2D((2, 3), 1, padding="same")(inputs)
    model = keras.Model(inputs, layers.AveragePooling2D(4, 3, padding="same")(x))
    images = np.random.default_rng(0).normal(size=(8, 9, 10, 4)).astype("float32")
    quantized = quantize_aware(model, calibration=images)
    assert 30 < snr_db(model(images), quantized(images)) < 80
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), quantized(images))
    stripped = strip(loaded)
    np.testing.assert_allclose(stripped(images), model(images), rtol=1e-5, atol=1e-6)
    assert not any(type(layer).__module__.startswith("keras_se") for layer in stripped.layers)


def test_a_branch_that_is_zero_converts():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    branch = layers.Conv2D(8, 1, use_bias=False)(x)
    x = layers.Add()([layers.BatchNormalization(gamma_initializer="zeros")(branch), x])
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    result = convert(quantize_aware(model, calibration=images), calibration=images)
    assert result.report.inspection.partitions == 1
    assert result.report.comparison.snr_db >= 40


@pytest.mark.parametrize(
    ("found", "widened"),
    [
        ({"first": 0.0, "second": 1e-4, "sum": 3.0}, {"first": 3.0, "second": 3 / 512, "sum": 3.0}),
        ({"first": 0.0, "second": 0.5, "sum": 0.0}, {"first": 1.0, "second": 0.5, "sum": 1.0}),
    ],
)
def test_ranges_that_no_kernel_takes_are_widened(found, widened):
    inputs = keras.Input((4, 4, 3))
    terms = [layers.Conv2D(3, 1, name=name)(inputs) for name in ("first", "second")]
    model = keras.Model(inputs, layers.Add(name="sum")(terms))
    quantized = quantize_aware(model, calibration=np.ones((1, 4, 4, 3), "float32"))
    for name, bound in found.items():
        quantized.get_layer(f"{name}_range").ranges.assign([[-bound, bound]])
    mended = deployed(quantized)
    for name, bound in widened.items():
        np.testing.assert_allclose(mended.get_layer(f"{name}_range").bounds(), (-bound, bound))


def test_channels_that_a_batch_norm_makes_zero_have_the_largest_range():
    layer, norm = QuantizedConv2D(4, 1, use_bias=False), layers.BatchNormalization(epsilon=0)
    layer.build((None, 1, 1, 2))
    norm.build((None, 1, 1, 4))
    layer.kernel.assign(np.full((1, 1, 2, 4), 0.5))
    norm.gamma.assign([2.0, -1.0, 0.0, 1e-9])  # 1e-9: its bias would overflow 32 bits
    norm.moving_mean.assign([0.1, 0.2, 0.3, 0.4])
    norm.beta.assign([1.0, 2.0, 3.0, 4.0])
    kernel = Kernel.of(layer).folded(norm)
    np.testing.assert_array_equal(kernel.signs, [1, -1, 0, 0])
    np.testing.assert_allclose(kernel.bounds, [1, 0.5, 1, 1])
    np.testing.assert_allclose(kernel.bias, [0.8, 2.2, 3, 4], rtol=1e-6)
    weights, bias = kernel.weights(0.1)
    np.testing.assert_allclose(weights[0, 0], [[1, -0.5, 0, 0]] * 2)
    np.testing.assert_allclose(bias, [0.8, 2.2, 3, 4], atol=0.1 / 127 / 2)


def test_relu_that_clips_elsewhere_is_clipped_by_its_range():
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU(max_value=1.0)(layers.Conv2D(8, 3)(inputs))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    images = 3 * np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(model, calibration=images)
    result = convert(quantized, calibration=images)
    assert result.report.inspection.is_strict_int8
    assert result.report.comparison.snr_db >= 40
    np.testing.assert_allclose(
        strip(quantized).predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5
    )
