"""Training: the recipe, its parts, frozen BatchNorm, precision."""

import doctest
import importlib

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import training

RUN = {"steps_per_epoch": 4, "epochs": 5, "batch_size": 16}
XLA = pytest.mark.parametrize("jit_compile", [False, True], ids=["no-xla", "xla"])


@keras.saving.register_keras_serializable("test_training")
class NormActivation(layers.Layer):
    """A layer that holds its BatchNorm as a named sublayer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization(name="norm")

    def build(self, input_shape):
        self.norm.build(input_shape)

    def call(self, inputs, training=None):
        return keras.ops.relu(self.norm(inputs, training=training))


def classifier(activation="softmax"):
    """A BatchNorm in the model, one inside a layer, and one inside a nested model."""
    keras.utils.set_random_seed(0)
    nested = keras.Sequential(
        [keras.Input((6, 6, 4)), layers.Conv2D(4, 3), layers.BatchNormalization(name="inner")],
        name="nested",
    )
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="outer")(layers.Conv2D(4, 3)(inputs))
    x = layers.GlobalAveragePooling2D()(nested(NormActivation(name="composite")(x)))
    return keras.Model(inputs, layers.Dense(3, activation=activation)(x))


def norms(model):
    return [
        model.get_layer("outer"),
        model.get_layer("composite").norm,
        model.get_layer("nested").get_layer("inner"),
    ]


def batch(n=64):
    """Pictures whose colour tells their class."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    images = rng.random((n, 8, 8, 3), "float32") + np.eye(3, dtype="float32")[labels][:, None, None]
    return images, labels


def weights(model):
    return {v.path: v.numpy() for v in model.weights}


@pytest.mark.parametrize(
    "module", ["augmentation", "callbacks", "compile", "loss", "optimizer", "pictures", "precision"]
)
def test_the_examples_in_the_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"keras_se.training.{module}"))
    assert result.attempted > 0 and result.failed == 0


def test_the_schedule_is_the_formula():
    peak, steps, warmup = 0.8, 200, 20
    schedule = training.warmup_cosine(peak, steps, warmup / steps)
    t = np.arange(steps)
    line = peak * (1 / warmup + t / warmup * (1 - 1 / warmup))
    cosine = peak * (1 + np.cos(np.pi * (t - warmup) / (steps - warmup))) / 2
    expected = np.where(t < warmup, line, cosine)
    np.testing.assert_allclose([float(schedule(step)) for step in t], expected, rtol=1e-4)
    assert float(schedule(0)) > 0 and float(schedule(steps - 1)) > 0
    assert float(training.warmup_cosine(0.1, 1)(0)) == pytest.approx(0.1)


def test_l2_sgd_is_sgd_on_the_loss_plus_the_penalty():
    kernel, bias = keras.Variable(np.ones((2, 2))), keras.Variable(np.ones(2))
    optimizer = training.L2SGD(0.1, l2=0.5, momentum=0.9, nesterov=True)
    w, v = {2: 1.0, 1: 1.0}, {2: 0.0, 1: 0.0}  # by rank
    for _ in range(5):
        optimizer.apply([keras.ops.ones((2, 2)), keras.ops.ones(2)], [kernel, bias])
        for rank, l2 in ((2, 0.5), (1, 0.0)):
            gradient = 1 + l2 * w[rank]
            v[rank] = 0.9 * v[rank] - 0.1 * gradient
            w[rank] += 0.9 * v[rank] - 0.1 * gradient
    np.testing.assert_allclose(kernel.numpy(), np.full((2, 2), w[2]), rtol=1e-5)
    np.testing.assert_allclose(bias.numpy(), np.full(2, w[1]), rtol=1e-5)


def test_keras_own_weight_decay_takes_ten_times_the_number():
    """The statement in L2SGD's docstring, at momentum 0.9 and without a loss gradient."""
    ours, theirs = keras.Variable(np.ones((1, 1))), keras.Variable(np.ones((1, 1)))
    optimizers = {
        training.L2SGD(0.01, l2=0.01, momentum=0.9): ours,
        keras.optimizers.SGD(0.01, weight_decay=0.1, momentum=0.9): theirs,
    }
    for optimizer, variable in optimizers.items():
        for _ in range(500):
            optimizer.apply([keras.ops.zeros((1, 1))], [variable])
    shrinkage = [1 - float(v.numpy()[0, 0]) for v in (ours, theirs)]
    assert shrinkage[0] == pytest.approx(shrinkage[1], rel=0.05)  # momentum starts from 0


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_loss_takes_integers_and_one_hot_alike(from_logits):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    target = 0.8 * np.eye(4)[labels] + 0.2 / 4
    expected = -(target * np.log(p)).sum(-1).mean()
    loss = training.SmoothedCrossentropy(from_logits=from_logits, label_smoothing=0.2)
    for form in (labels, labels[:, None], np.eye(4)[labels]):
        result = float(loss(form, logits if from_logits else p))
        assert result == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "threshold, targets", [(None, [0.19, 0.81, 0.0]), (0.2, [0, 1, 0]), (0.1, [1, 1, 0])]
)
def test_a_mixture_shows_every_class_above_the_threshold(threshold, targets):
    logits = np.random.default_rng(0).normal(size=(1, 3))
    p, q = 1 / (1 + np.exp(-logits)), 0.7 * np.array([targets]) + 0.3 / 3
    expected = -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()
    loss = training.SmoothedBinaryCrossentropy(True, label_smoothing=0.3, threshold=threshold)
    loss = training.SmoothedBinaryCrossentropy.from_config(loss.get_config())
    assert float(loss(np.array([[0.19, 0.81, 0.0]]), logits)) == pytest.approx(expected, rel=1e-5)


def test_the_recipe():
    model = classifier()
    result = training.compile_for_training(
        model, steps_per_epoch=10, epochs=10, batch_size=512, weight_decay=3e-4
    )
    optimizer = model.optimizer
    assert result is model
    assert (optimizer.momentum, optimizer.nesterov, optimizer.l2) == (0.9, True, 3e-4)
    rates = [float(optimizer._learning_rate(step)) for step in range(101)]
    assert max(rates) == pytest.approx(0.1 * 512 / 256) and rates[-1] == pytest.approx(0, abs=1e-6)
    assert rates.index(max(rates)) == 5  # 5 % of 100 steps
    assert (model.loss.label_smoothing, model.loss.from_logits) == (0.1, False)


@pytest.mark.parametrize("one_hot", [False, True])
def test_fit_learns_and_reports_the_right_accuracy(one_hot):
    images, labels = batch(96)
    labels = np.eye(3)[labels] if one_hot else labels
    model = classifier()
    training.compile_for_training(model, steps_per_epoch=6, epochs=30, batch_size=16)
    model.fit(images, labels, batch_size=16, epochs=30, verbose=0)
    predicted = model.predict(images, verbose=0).argmax(-1)
    accuracy = model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx((predicted == batch(96)[1]).mean()) and accuracy > 0.9


def end_with(*tail):
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), *tail])


@pytest.mark.parametrize(
    ("model", "from_logits"),
    [
        (classifier(), False),
        (classifier(None), True),
        (end_with(layers.Softmax()), False),
        (end_with(layers.Activation("linear", dtype="float32")), True),
        (end_with(end_with(layers.Dense(2, activation="softmax")).layers[-1]), False),
        (keras.Sequential([keras.Input((8, 8, 3)), classifier()]), False),
    ],
)
def test_the_loss_follows_the_final_activation(model, from_logits):
    training.compile_for_training(model, **RUN)
    assert model.loss.from_logits is from_logits


def softmax_by_ops():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.ops.softmax(layers.Dense(3)(inputs)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (end_with(layers.Dense(3, activation="sigmoid")), "end in a softmax"),
        (end_with(layers.ReLU()), "end in a softmax"),
        (softmax_by_ops(), "end in a softmax"),
        (end_with(layers.Dense(1)), "at least 2 classes"),
        (keras.Sequential([layers.Dense(3)]), "not built"),
    ],
)
def test_models_that_are_refused(model, message):
    with pytest.raises(ValueError, match=rf"(?s){message}.*Received: model="):
        training.compile_for_training(model, **RUN)
    assert not model.compiled


def test_the_model_must_be_one():
    with pytest.raises(TypeError, match="Received: model="):
        training.compile_for_training("model", **RUN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps_per_epoch", 0),
        ("steps_per_epoch", 2.5),
        ("epochs", -1),
        ("epochs", True),
        ("batch_size", None),
        ("base_learning_rate", 0.0),
        ("base_learning_rate", float("nan")),
        ("warmup_fraction", 1.0),
        ("warmup_fraction", -0.1),
        ("weight_decay", -1e-4),
        ("label_smoothing", 1.0),
        ("jit_compile", "yes"),
        ("precision", "float64"),
    ],
)
def test_arguments_are_checked_before_anything_happens(name, value):
    model = classifier()
    with pytest.raises(ValueError, match=rf"Received: {name}="):
        training.compile_for_training(model, **RUN | {name: value})
    assert not model.compiled


def test_jit_compile_is_off_on_a_cpu_and_can_be_forced():
    model = training.compile_for_training(classifier(), **RUN)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        assert model.jit_compile is bool(tf.config.list_physical_devices("GPU"))
    assert training.compile_for_training(model, **RUN, jit_compile=True).jit_compile is True


def test_a_saved_run_goes_on_where_it_was(tmp_path):
    """Loading keeps the optimizer's state, l2, its rule for biases, loss and schedule."""
    images, labels = batch()
    model = training.compile_for_training(classifier(), **RUN, precision="mixed_float16")
    model.fit(images, labels, batch_size=16, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.fit(images, labels, batch_size=16, shuffle=False, verbose=0)
    assert int(loaded.optimizer.iterations) == 8
    for before, after in zip(weights(model).values(), weights(loaded).values(), strict=True):
        np.testing.assert_array_equal(before, after)


@XLA
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(precision, jit_compile):
    images, labels = batch()
    model = classifier()
    expected = model.predict(images, verbose=0)
    training.compile_for_training(model, **RUN, precision=precision, jit_compile=jit_compile)
    compute = precision.removeprefix("mixed_")
    assert [layer.compute_dtype for layer in norms(model)] == [compute] * 3
    assert model.layers[-1].compute_dtype == "float32"
    assert {v.dtype for v in model.weights} == {"float32"}
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled is (precision == "mixed_float16")
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=0.01)  # 8 bits
    before = weights(model)
    history = model.fit(images, labels, batch_size=16, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert all((before[path] != after).any() for path, after in weights(model).items())
    training.set_precision(model, "float32")
    assert model.predict(images, verbose=0).dtype == "float32"


def test_precision_wants_float32_weights():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, dtype="float64")])
    with pytest.raises(ValueError, match=r"needs float32 weights.*kernel' is float64"):
        training.set_precision(model, "mixed_bfloat16")


class Recorder(keras.callbacks.Callback):
    """The weights at the end of every epoch."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(weights(self.model))


@XLA
def test_frozen_batch_norm_keeps_its_statistics_and_all_else_learns(jit_compile):
    # A last batch of 8 is traced apart; XLA, which takes seconds for each, compiles one size.
    images, labels = batch(48 if jit_compile else 40)
    model = classifier()
    training.compile_for_training(
        model, steps_per_epoch=3, epochs=4, batch_size=16, jit_compile=jit_compile
    )
    recorder = Recorder()
    freeze = training.FreezeBatchNorm(last_epochs=2)
    arguments = {"batch_size": 16, "epochs": 4, "verbose": 0, "callbacks": [freeze, recorder]}
    model.fit(images, labels, validation_data=(images, labels), **arguments)

    for earlier, later, frozen in zip(
        recorder.epochs, recorder.epochs[1:], [False, True, True], strict=False
    ):
        for path, value in later.items():
            changed = (value != earlier[path]).any()
            assert changed == (not frozen or "moving_" not in path), path
    assert all(layer.trainable for layer in model._flatten_layers())
    assert len(model.trainable_variables) == len(model.optimizer.momentums) == 12
    assert int(model.optimizer.iterations) == 12  # the optimizer is the same one throughout

    model.fit(images, labels, batch_size=16, verbose=0)  # without the callback: learns again
    after = weights(model)
    assert all((after[path] != recorder.epochs[-1][path]).any() for path in after)
    model.fit(images, labels, **arguments)  # and with it


def test_frozen_batch_norm_trains_on_what_inference_computes():
    """The purpose: at learning rate 0 the training loss is the validation loss."""
    images, labels = batch()
    model = classifier()
    model.compile(keras.optimizers.SGD(0.0), training.SmoothedCrossentropy())
    history = model.fit(
        images,
        labels,
        epochs=2,
        verbose=0,
        validation_data=(images, labels),
        callbacks=[training.FreezeBatchNorm(last_epochs=1)],
    ).history
    gaps = np.abs(np.subtract(history["loss"], history["val_loss"]))
    assert gaps[0] > 1e-3 and gaps[1] < 1e-6


def test_a_checkpoint_of_a_frozen_epoch_is_an_ordinary_model(tmp_path):
    images, labels = batch()
    model = training.compile_for_training(classifier(), **RUN)
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    callbacks = [training.FreezeBatchNorm(last_epochs=3), checkpoint]
    model.fit(images, labels, batch_size=16, epochs=5, verbose=0, callbacks=callbacks)
    loaded = keras.models.load_model(tmp_path / "4.keras")
    assert all(layer.trainable for layer in loaded._flatten_layers())
    assert int(loaded.optimizer.iterations) == 16

    # Resumed within the frozen epochs it stays frozen, and ends where the whole run ended.
    recorder = Recorder()
    loaded.fit(
        images,
        labels,
        batch_size=16,
        initial_epoch=4,
        epochs=5,
        verbose=0,
        callbacks=[training.FreezeBatchNorm(last_epochs=3), recorder],
    )
    resumed = recorder.epochs[-1].values()
    for (path, value), other in zip(weights(model).items(), resumed, strict=True):
        if "moving_" in path:
            np.testing.assert_array_equal(other, value, err_msg=path)


def test_freezing_leaves_flags_of_the_caller_alone():
    images, labels = batch()
    model = classifier()
    outer, composite, inner = norms(model)
    outer.trainable = False
    composite.gamma.trainable = False
    training.compile_for_training(model, **RUN)
    gamma = np.array(composite.gamma.numpy())
    flags = [v.trainable for v in model.variables]
    model.fit(
        images, labels, epochs=2, verbose=0, callbacks=[training.FreezeBatchNorm(last_epochs=1)]
    )
    assert [layer.trainable for layer in (outer, composite, inner)] == [False, True, True]
    assert [v.trainable for v in model.variables] == flags
    np.testing.assert_array_equal(composite.gamma.numpy(), gamma)


def test_a_run_that_was_broken_off_is_restored():
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    images, labels = batch()
    model = training.compile_for_training(classifier(), **RUN)
    freeze = training.FreezeBatchNorm(last_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, labels, epochs=2, verbose=0, callbacks=[freeze, Interrupt()])
    assert not any(layer.trainable for layer in norms(model))
    freeze.restore()
    before = weights(model)
    model.fit(images, labels, verbose=0)
    assert all((before[path] != after).any() for path, after in weights(model).items())


@pytest.mark.parametrize("last_epochs", [0, -1, 1.5, True, None])
def test_freezing_needs_a_number_of_epochs(last_epochs):
    with pytest.raises(ValueError, match="Received: last_epochs="):
        training.FreezeBatchNorm(last_epochs)


def test_freezing_a_whole_run_is_refused():
    images, labels = batch()
    model = training.compile_for_training(classifier(), **RUN)
    with pytest.raises(ValueError, match=r"more than 2 epochs.*Received: epochs=2"):
        model.fit(images, labels, epochs=2, verbose=0, callbacks=[training.FreezeBatchNorm(2)])


def test_augmentation_moves_pictures_a_little():
    images = np.zeros((8, 32, 32, 1), "float32")
    images[:, 12:20, 12:20] = 255.0
    moved = keras.ops.convert_to_numpy(training.light_augmentation()(images, training=True))
    again = keras.ops.convert_to_numpy(training.light_augmentation()(images, training=True))
    assert moved.shape == images.shape and (moved != images).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(moved, again)
    np.testing.assert_allclose(moved.sum((1, 2, 3)), images.sum((1, 2, 3)), rtol=0.1)  # all inside
    unmoved = keras.ops.convert_to_numpy(training.light_augmentation()(images, training=False))
    np.testing.assert_array_equal(unmoved, images)
