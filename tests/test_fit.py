"""`fit`: the pipeline, resuming, what is written, what is refused."""

import csv
import doctest
import importlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from keras_se import training
from keras_se.applications import Preprocessing, ResNetCIFAR
from keras_se.training import FitSettings, fit, pipeline, sources
from keras_se.training.fit_augment import shift_and_flip
from keras_se.training.fit_callbacks import NotFiniteError
from keras_se.training.fit_order import numbers_of_step

PER_CLASS = 14
RAW = Preprocessing((0, 0, 0), (1, 1, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three classes of pictures in their own colour, in train/ and val/."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for part, count in (("train", PER_CLASS), ("val", 7)):
        for label in range(3):
            directory = folder / part / f"class{label}"
            directory.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 175, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 80
                Image.fromarray(pixels).save(directory / f"{number:02d}.png")
    return folder


def network():
    """Everything that has a state: BatchNorm, dropout, an inner layer that is not the last."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=4),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def settings(data, tmp_path, **values):
    given = {"epochs": 3, "batch_size": 10, "image_size": 32, "checkpoint_steps": 3}
    return FitSettings(data, output=tmp_path / "run", **given | values)


class StopAt(keras.callbacks.Callback):
    """Break a run off after so many of its steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def array(variable):
    return keras.ops.convert_to_numpy(variable)


def equal_weights(model, other):
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(array(one), array(two), err_msg=one.path)


@pytest.mark.parametrize(
    "module",
    "fit_callbacks fit_compile fit_results pipeline presets run settings sources state".split(),
)
def test_the_examples_in_the_docstrings(module):
    assert doctest.testmod(importlib.import_module(f"keras_se.training.{module}")).failed == 0


# 4 steps per epoch; checkpoints after steps 3, 4, 6, 8, ...
RICH = {
    "epochs": 5,
    "head_epochs": 1,
    "frozen_epochs": 2,
    "ema": 0.9,
    "clip_norm": 1.0,
    "mixup": 0.2,
}


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    return fit(settings(data, tmp_path_factory.mktemp("whole"), **RICH), model=network())


# Before the first checkpoint, on the end of the head's epoch, within an epoch of the whole
# network, within one of frozen BatchNorm, on the very last step.
@pytest.mark.parametrize("step", [2, 4, 7, 14, 20])
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(data, tmp_path, uninterrupted, step):
    same = settings(data, tmp_path, **RICH)
    with pytest.raises(KeyboardInterrupt):
        fit(same, model=network(), callbacks=[StopAt(step)])
    resumed = fit(same, model=network())
    equal_weights(resumed.model, uninterrupted.model)
    timed = ("seconds", "images_per_second")
    for name in set(uninterrupted.history) - set(timed):
        assert resumed.history[name] == uninterrupted.history[name], name
    assert resumed.epoch == list(range(5))


def test_the_files_of_a_run(data, tmp_path):
    given = settings(data, tmp_path, batch_size=8, epochs=2)
    history = fit(given, model=network())
    results = json.loads((given.output / "results.json").read_text())
    saved = keras.saving.load_model(given.output / "last.keras")
    equal_weights(saved, history.model)
    _, validation = sources.load_sources(given)
    images = np.stack([validation.read(n) for n in range(len(validation))]).astype("float32")
    preprocess = training.run.IMAGENET
    predicted = saved.predict(preprocess(images), verbose=0).argmax(axis=1)
    accuracy = (predicted == validation.labels).mean()
    assert results["accuracy"] == pytest.approx(accuracy)
    assert history.history["val_accuracy"][-1] == pytest.approx(accuracy)
    assert results["best_accuracy"] == max(history.history["val_accuracy"])
    assert np.sum(results["confusion"]) == results["pictures"] == 21
    with open(given.output / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.history["loss"]
    for name in ("curves.png", "confusion.png"):
        assert Image.open(given.output / name).width > 500
    assert not [path for path in given.output.iterdir() if path.name.startswith(".")]
    again = training.make_settings(file=given.output / "settings.toml", output=given.output)
    before = {path: path.stat().st_mtime_ns for path in given.output.iterdir()}
    assert fit(again, model=network()).history == history.history
    assert before == {path: path.stat().st_mtime_ns for path in given.output.iterdir()}


def test_another_run_in_the_same_folder_is_refused(data, tmp_path):
    given = settings(data, tmp_path, epochs=1)
    fit(given, model=network())
    with pytest.raises(FileExistsError, match="seed: 0 there"):
        fit(replace(given, seed=1), model=network())
    fit(replace(given, seed=1, overwrite=True), model=network())


def test_unreadable_pictures_are_skipped_and_named(data, tmp_path):
    folder = tmp_path / "broken"
    for path in data.rglob("*.png"):
        copy = folder / path.relative_to(data)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (folder / "train/class1/03.png").write_bytes(b"no picture")
    (folder / "val/class2/00.png").write_bytes(b"")
    given = settings(folder, tmp_path, epochs=2)
    fit(given, model=network())
    results = json.loads((given.output / "results.json").read_text())
    assert sorted(results["unreadable"]) == ["class1/03.png", "class2/00.png"]
    assert results["pictures"] == 20


def test_a_loss_that_is_not_finite_names_its_step_and_its_pictures(data, tmp_path):
    model = network()

    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                self.model.layers[-1].bias.assign([np.nan] * 3)

    given = settings(data, tmp_path)
    with pytest.raises(
        NotFiniteError, match=r"nan at step 6 of the run, in epoch 2.*\.png"
    ) as info:
        fit(given, model=model, callbacks=[_InEpoch(1, Poison())])
    source, _ = sources.load_sources(given)
    for number in numbers_of_step(source, given, 5)[:4]:
        assert source.name(number) in str(info.value)


class _InEpoch(keras.callbacks.Callback):
    """Another callback's on_train_batch_begin, in one epoch."""

    def __init__(self, epoch, inner):
        super().__init__()
        self.chosen, self.inner, self.now = epoch, inner, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch
        self.inner.set_model(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        if self.now == self.chosen:
            self.inner.on_train_batch_begin(batch)


def test_the_head_alone_and_then_all(data, tmp_path):
    model = network()
    before = list(map(array, model.layers[0].weights))
    changed = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            now = list(map(array, self.model.layers[0].weights))
            changed.append(not all(map(np.array_equal, before, now)))

    fit(settings(data, tmp_path, head_epochs=1), model=model, callbacks=[Look()])
    assert changed == [False, True, True]
    assert all(layer.trainable for layer in model.layers)


EAGER = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="without jit only TensorFlow traces"
)


@pytest.mark.parametrize("jit", [pytest.param("off", marks=EAGER), "on"])
def test_nothing_is_traced_after_the_first_step_and_the_first_validation(data, tmp_path, jit):
    traces = []

    @keras.saving.register_keras_serializable("test_fit")
    class Traced(layers.Layer):
        def call(self, x, training=None):
            traces.append(training)
            return x

    model = keras.Sequential([*network().layers[:-1], Traced(), layers.Dense(3)])
    model.build((None, 32, 32, 3))
    steps, epochs = [], []

    class Count(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(traces.count(True))

        def on_epoch_end(self, epoch, logs=None):
            epochs.append(len(traces))

    # 42 pictures are four batches of 10; the 21 of validation two and one of a single picture.
    fit(settings(data, tmp_path, jit=jit), model=model, callbacks=[Count()])
    assert (len(steps), len(epochs)) == (12, 3)
    assert len(set(steps)) == len(set(epochs)) == 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")
def test_several_machines_with_tensorflow_are_refused(data, tmp_path, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    strategy = object.__new__(tf.distribute.MultiWorkerMirroredStrategy)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    with pytest.raises(RuntimeError, match=r"JAX backend.*keras.distribution"):
        fit(settings(data, tmp_path), model=network())


AUGMENTED = {
    "padded": {},
    "resized": {"crop": "resized"},
    "all": {"randaugment_ops": 2, "color_jitter": 0.3, "mixup": 0.2, "cutmix": 1.0},
}


@pytest.mark.parametrize("values", AUGMENTED.values(), ids=AUGMENTED)
def test_batches_depend_on_the_seed_and_the_step_alone(data, tmp_path, values):
    given = settings(data, tmp_path, **values)
    source, _ = sources.load_sources(given)

    def take(count, **start):
        batches = pipeline.training_batches(source, start.pop("of", given), RAW, **start)
        return list(batches.take(count).as_numpy_iterator())

    whole = take(6)
    for (images, labels), (again, labels_again) in zip(
        whole[4:], take(2, first_step=4), strict=True
    ):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, labels_again)
    assert not np.array_equal(whole[0][0], take(1, of=replace(given, seed=1))[0][0])
    np.testing.assert_allclose(whole[0][1].sum(axis=1), 1, rtol=1e-5)
    assert whole[0][0].min() >= 0 and whole[0][0].max() <= 255
    assert len({images.tobytes() for images, _ in whole}) == 6


def test_an_epoch_shows_every_picture_at_most_once_in_an_order_of_its_own(data, tmp_path):
    given = settings(data, tmp_path)
    source, _ = sources.load_sources(given)
    epochs = [
        [n for step in range(4) for n in numbers_of_step(source, given, 4 * epoch + step)]
        for epoch in range(2)
    ]
    for numbers in epochs:
        assert len(set(numbers)) == len(numbers) == 40
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("fits", [True, False])
def test_small_pictures_are_decoded_once(data, tmp_path, monkeypatch, fits):
    given = settings(data, tmp_path)
    source, _ = sources.load_sources(given)
    if not fits:
        monkeypatch.setattr(pipeline, "KEPT_BYTES", 3 * 32 * 32 * len(source) - 1)
    for batches in (
        lambda counted: pipeline.training_batches(counted, given, RAW).take(12),
        lambda counted: pipeline.validation_batches(counted, given, RAW).repeat(3),
    ):
        reads = []

        def read(number, reads=reads):
            reads.append(number)
            return source.read(number)

        list(batches(replace(source, read=read)))
        assert (len(reads) == len(set(reads))) is fits


@pytest.mark.parametrize("batches", ["training_batches", "validation_batches"])
def test_no_epoch_waits_for_the_thread_of_a_closed_iterator(data, tmp_path, batches):
    given = settings(data, tmp_path)
    source, _ = sources.load_sources(given)
    assert getattr(pipeline, batches)(source, given, RAW).options().autotune.enabled is False


def test_two_threads_do_not_read_the_same_picture():
    reads = []

    def read(number):
        reads.append(number)
        time.sleep(0.05)  # long enough for the other threads to ask for the same number
        return 10 * number

    kept = pipeline.kept_by_number(read, 3)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(kept, [2, 2, 2, 0])) == [20, 20, 20, 0]
    assert sorted(reads) == [0, 2]


@pytest.mark.parametrize("flip", [True, False])
def test_pictures_are_shifted_and_mirrored_one_by_one(flip):
    settings = FitSettings("unread", batch_size=400, image_size=16, flip=flip)
    picture = np.arange(1, 16 * 16 * 3 + 1).reshape(16, 16, 3)
    batch = np.tile(picture, (400, 1, 1, 1))
    changed = shift_and_flip(batch, settings, np.int64(3), slice(None)).numpy()
    padded = np.pad(picture, ((2, 2), (2, 2), (0, 0)))  # an eighth of the size
    windows = {
        (row, column, side): padded[row : row + 16, column : column + 16][:, ::side].tobytes()
        for row in range(5)
        for column in range(5)
        for side in ((1, -1) if flip else (1,))
    }
    seen = [one.tobytes() for one in changed]
    assert set(seen) == set(windows.values())  # every shift, and nothing else
    halves = [
        shift_and_flip(batch[part], settings, np.int64(3), part).numpy()
        for part in (slice(0, 200), slice(200, 400))
    ]
    np.testing.assert_array_equal(np.concatenate(halves), changed)


def test_processes_share_a_batch_without_overlap(data, tmp_path):
    given = settings(data, tmp_path, crop="none", flip=False)
    source, _ = sources.load_sources(given)
    whole, *parts = (
        next(pipeline.training_batches(source, given, RAW, **part).as_numpy_iterator())
        for part in ({}, {"rank": 0, "world": 2}, {"rank": 1, "world": 2})
    )
    np.testing.assert_array_equal(whole[0], np.concatenate([part[0] for part in parts]))


def test_arrays_in_an_npz_file(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8), np.arange(30) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels[:, None])
    given = FitSettings(tmp_path / "data.npz", output=tmp_path / "run", validation=0.2)
    kept, aside = sources.load_sources(given)
    assert (len(kept), len(aside)) == (24, 6)
    assert kept.class_names == ("0", "1", "2")
    np.savez(tmp_path / "data.npz", x_train=images / 255, y_train=labels)
    with pytest.raises(ValueError, match="uint8"):
        sources.load_sources(given)


@pytest.mark.parametrize("name", training.PRESETS)
def test_presets_and_toml(name, tmp_path):
    made = training.make_settings(name, data="pictures")
    file = tmp_path / "settings.toml"
    file.write_text(training.settings.to_toml(made))
    assert training.make_settings(file=file) == made


def test_a_preset_gives_the_learning_rate_of_its_source():
    rates = {"paper": 0.6, "a1": 5e-3, "a2": 5e-3, "a3": 8e-3, "cifar": 0.1, "default": 0.1}
    for name, rate in rates.items():
        made = training.make_settings(name, data="pictures")
        assert made.base_learning_rate * made.batch_size / 256 == pytest.approx(rate)


def test_values_win_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('preset = "cifar"\ndata = "pictures"\nepochs = 10\nbatch_size = 32\n')
    made = training.make_settings(file=file, batch_size=16)
    assert (made.epochs, made.batch_size, made.weight_decay) == (10, 16, 1e-4)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"crop": "random"}, "one of"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 3, "head_epochs": 3}, "besides"),
        ({"schedule": "step"}, "warm-up"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"epoch": 3}, "Unknown settings"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        training.make_settings(data="pictures", **values)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"data": "nowhere"}, "no such folder"),
        ({"data": "nothing.npz"}, "no such file"),
        ({"model": "SEResNet51"}, "Unknown model"),
    ],
)
def test_what_cannot_be_trained_is_refused(data, tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        fit(FitSettings(**{"data": data, "output": tmp_path / "run"} | values))


def test_orders_of_many_pictures_have_nothing_in_common():
    settings, pictures = FitSettings("unread", batch_size=1000), range(50_000)
    first, *others = (
        np.concatenate([numbers_of_step(pictures, settings, 50 * epoch + s) for s in (0, 1)])
        for epoch in range(3)
    )
    largest = 4 / np.sqrt(len(first))  # standard errors
    assert len(set(first)) == len(first)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < largest
    for other in others:
        assert abs(np.corrcoef(first, other)[0, 1]) < largest


def test_a_clone_that_lacks_its_preprocessing_is_refused(data, tmp_path):
    model = ResNetCIFAR(8, weights=None, classes=3, input_shape=(32, 32, 3))
    with pytest.raises(AttributeError, match=r"clone\.preprocess = model\.preprocess"):
        fit(settings(data, tmp_path), model=keras.models.clone_model(model))
