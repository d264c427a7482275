"""Lowering: any functional or Sequential model, rebuilt flat in float32, with equal outputs."""

import keras
import numpy as np
import pytest

from keras_se.layers import SqueezeExcite
from keras_se.lowering import add_layer
from keras_se.tflite import lower

layers = keras.layers


class Doubled(layers.Layer):
    """x + x: one layer that lowers to another."""

    factor = 2.0

    def call(self, inputs):
        return inputs + inputs

    def lower(self, inputs, name):
        return add_layer(layers.Rescaling(self.factor, dtype="float32", name=name), inputs)


class Wrong(Doubled):
    factor = 2.1


class Pixels:
    mean = (103.9, 116.8, 123.7)
    std = (1.0, 58.0, 57.0)
    channel_order = "bgr"

    def __call__(self, images):
        return (np.asarray(images, "float32")[..., ::-1] - self.mean) / self.std


def small_model(size=(16, 16, 3), activation="softmax", extra=()):
    x = inputs = keras.Input(size)
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    for layer in extra:
        x = layer(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, activation=activation)(x))
    # Trained statistics, so that a forgotten weight shows.
    model.set_weights([np.random.default_rng(1).uniform(0.5, 1, w.shape) for w in model.weights])
    return model


def predict(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def images(*shape):
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def test_a_lowered_model_is_float32_of_batch_1_and_equal():
    model = small_model(extra=[Doubled(), layers.Dropout(0.5), layers.RandomFlip()])
    lowered = lower(model)
    kinds = [type(layer).__name__ for layer in lowered.layers]
    assert lowered.inputs[0].shape == (1, 16, 16, 3)
    assert "Rescaling" in kinds
    assert not {"Doubled", "Dropout", "RandomFlip"} & set(kinds)
    x = images(1, 16, 16, 3)
    np.testing.assert_allclose(predict(lowered, x), predict(model, x), rtol=1e-5)


def test_nested_models_are_inlined_and_shared_layers_stay_shared():
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(3, 1), Doubled()])
    outer_inputs = keras.Input((16, 16, 3))
    middle = keras.Model(outer_inputs, inner(outer_inputs) + outer_inputs)
    shared = layers.Conv2D(3, 3, padding="same")
    x = inputs = keras.Input((16, 16, 3))
    x = shared(middle(shared(x), training=False))
    model = keras.Model(inputs, layers.Flatten()(middle(x)))
    lowered = lower(model)
    assert not any(isinstance(layer, keras.Model) for layer in lowered.layers)
    assert sum(layer.kernel.shape[:2] == (3, 3) for layer in lowered.layers if layer.weights) == 1
    x = images(1, 16, 16, 3)
    np.testing.assert_allclose(predict(lowered, x), predict(model, x), rtol=1e-5, atol=1e-6)


def test_a_second_call_does_not_take_the_name_of_another_layer():
    first, other = (layers.LayerNormalization(name=name) for name in ("norm", "norm_1"))
    gates = [SqueezeExcite(ratio=1, name=name) for name in ("se", "se_1")]
    x = inputs = keras.Input((8, 8, 3))
    for layer in (gates[0], first, gates[0], gates[1], first, other, gates[0]):
        x = layer(x)
    model = keras.Model(inputs, layers.Flatten()(x))
    x = images(1, 8, 8, 3)
    np.testing.assert_allclose(predict(lower(model), x), predict(model, x), rtol=1e-4, atol=1e-5)


def test_a_layer_with_a_wrong_lowering_is_refused():
    with pytest.raises(RuntimeError, match=r"Lowering .* changed its output"):
        lower(small_model(activation=None, extra=[Wrong()]))


@pytest.mark.parametrize("layer, lowers", [(Doubled(), True), (Wrong(), False)])
def test_scores_are_compared_before_the_softmax(layer, lowers):
    """With logits of some thousands it hides a wrong layer, and magnifies rounding."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(10, kernel_initializer="glorot_uniform")(layers.Flatten()(layer(inputs)))
    model = keras.Model(inputs, layers.Softmax()(layers.Rescaling(1e4)(x)))
    if lowers:
        lower(model, Pixels())
        return
    with pytest.raises(RuntimeError, match=r"Lowering .* changed its output"):
        lower(model)


@pytest.mark.parametrize(("steepness", "lowers"), [(10, True), (1000, False)])
def test_a_model_that_magnifies_rounding_is_measured_by_it(steepness, lowers):
    """The normalisation rounds otherwise as a convolution, and the sine magnifies that."""
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.ops.sin(layers.Rescaling(steepness)(inputs)))
    if lowers:
        lower(model, Pixels())
        return
    with pytest.raises(RuntimeError, match="nothing can be compared"):
        lower(model, Pixels())


def test_mixed_precision_is_rebuilt_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_model(extra=[Doubled()])
    finally:
        keras.config.set_dtype_policy("float32")
    lowered = lower(model)
    assert {layer.compute_dtype for layer in lowered.layers} == {"float32"}
    assert lowered.outputs[0].dtype == "float32"


@pytest.mark.parametrize(
    "head",
    [
        lambda x: layers.Dense(3, activation="softmax")(x),
        lambda x: layers.Dense(1, activation="sigmoid")(x),
        lambda x: layers.Activation("softmax")(layers.Dense(3)(x)),
        lambda x: layers.Softmax()(layers.Dense(3)(x)),
        lambda x: keras.ops.sigmoid(layers.Dense(3)(x)),
    ],
)
def test_logits_leave_out_the_final_activation(head):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, head(layers.GlobalMaxPooling2D()(inputs)))
    x = images(1, 8, 8, 3)
    logits = predict(lower(model, logits=True), x)
    softmax = "softmax" in str(model.get_config()).lower()
    activation = keras.ops.softmax if softmax else keras.ops.sigmoid
    np.testing.assert_allclose(activation(logits), predict(model, x), rtol=1e-5)
    assert not np.allclose(logits, predict(model, x))


def test_logits_of_a_model_without_final_activation_are_its_outputs():
    model = small_model(activation=None)
    x = images(1, 16, 16, 3)
    np.testing.assert_allclose(predict(lower(model, logits=True), x), predict(model, x), rtol=1e-5)


def test_preprocess_is_one_convolution_before_the_first_padding():
    model = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.ZeroPadding2D(2), layers.Conv2D(2, 3), layers.Flatten()]
    )
    raw = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3), "uint8")
    lowered = lower(model, preprocess=Pixels())
    expected = predict(model, Pixels()(raw))
    np.testing.assert_allclose(
        predict(lowered, raw.astype("float32")), expected, atol=1e-5 * np.abs(expected).max()
    )
    assert [layer.name for layer in lowered.layers][1] == "preprocess"


def test_a_preprocess_that_does_something_else_is_refused():
    class Half(Pixels):
        def __call__(self, images):
            return super().__call__(images) / 2

    with pytest.raises(RuntimeError, match="preprocess differs"):
        lower(small_model(activation=None), preprocess=Half())


@pytest.mark.parametrize(
    "attributes", [{"mean": (1.0,)}, {"std": (1.0, 0.0, 1.0)}, {"channel_order": "gbr"}]
)
def test_a_bad_preprocess_is_refused(attributes):
    preprocess = Pixels()
    vars(preprocess).update(attributes)
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(attributes))}"):
        lower(small_model(), preprocess=preprocess)


def test_an_adapted_normalization_keeps_its_statistics():
    normalization = layers.Normalization()
    normalization.adapt(3 + 2 * images(8, 4, 4, 3))
    model = keras.Sequential([keras.Input((4, 4, 3)), normalization, layers.Flatten()])
    x = images(1, 4, 4, 3)
    np.testing.assert_allclose(predict(lower(model), x), predict(model, x), rtol=1e-5)


def test_an_open_size_needs_input_size():
    model = small_model(size=(None, None, 3))
    with pytest.raises(ValueError, match="input_size"):
        lower(model)
    assert lower(model, input_size=20).inputs[0].shape == (1, 20, 20, 3)
    assert lower(model, input_size=(20, 24)).inputs[0].shape == (1, 20, 24, 3)
    with pytest.raises(ValueError, match=r"16x16.*Received: input_size=20"):
        lower(small_model(), input_size=20)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_models_that_cannot_be_lowered_say_why():
    a, b = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    with pytest.raises(ValueError, match="one input"):
        lower(keras.Model([a, b], layers.Add()([a, b])))
    with pytest.raises(ValueError, match="one input"):
        lower(keras.Sequential([keras.Input((5,)), layers.Dense(2)]))
    with pytest.raises(TypeError, match="subclassed"):
        lower(Subclassed())
    with pytest.raises(TypeError, match="subclassed"):
        lower(keras.Sequential([keras.Input((4, 4, 3)), Subclassed()]))
    with pytest.raises(ValueError, match="no input shape"):
        lower(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(TypeError, match="Received: model='x'"):
        lower("x")
