"""`fit`: resuming, what is written, what is refused."""

import csv
import doctest
import importlib
import itertools
import json
import shutil
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from fit_runs import StopAt, array, equal_weights, network, settings, write_pictures
from keras import layers
from PIL import Image

from keras_se import training
from keras_se.applications import ResNetCIFAR
from keras_se.applications.preprocessing import IMAGENET
from keras_se.training import FitSettings, NotFiniteError, fit, sources
from keras_se.training.pipeline.order import numbers_of_step
from keras_se.training.run import read_results
from keras_se.training.run.finite import StopOnNaN
from keras_se.training.run.state import load_record


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize(
    "module",
    "loss run.finite run.stage run.results settings.fit_settings settings.make".split(),
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


OTHER = {
    "adamw": {"optimizer": "adamw", "base_learning_rate": 0.01},
    "lamb, binary": {"optimizer": "lamb", "base_learning_rate": 0.01, "loss": "binary"},
    "steps, TensorBoard": {"schedule": "step", "warmup": 0.0, "tensorboard": True},
    "loss scaling": {"precision": "mixed_float16", "clip_norm": 1.0, "ema": 0.9},
}


@pytest.mark.parametrize("values", OTHER.values(), ids=OTHER)
def test_every_optimizer_loss_and_schedule_resumes(data, tmp_path, values):
    def made():
        model = network()
        if values.get("loss") == "binary":  # of logits
            model.layers[-1].activation = keras.activations.linear
        return model

    whole = fit(settings(data, tmp_path / "whole", epochs=2, **values), model=made())
    same = settings(data, tmp_path, epochs=2, **values)
    with pytest.raises(KeyboardInterrupt):
        fit(same, model=made(), callbacks=[StopAt(7)])
    equal_weights(fit(same, model=made()).model, whole.model)
    assert (same.output / "tensorboard").is_dir() is same.tensorboard


def test_the_files_of_a_run(data, tmp_path):
    given = settings(data, tmp_path, batch_size=8, epochs=2)
    history = fit(given, model=network())
    results = json.loads((given.output / "results.json").read_text())
    saved = keras.saving.load_model(given.output / "last.keras")
    equal_weights(saved, history.model)
    _, validation = sources.load_sources(given)
    images = np.stack([validation.read(n) for n in range(len(validation))]).astype("float32")
    predicted = saved.predict(IMAGENET(images), verbose=0).argmax(axis=1)
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


def test_a_class_without_validation_pictures_has_no_accuracy(tmp_path):
    images, labels = np.zeros((12, 32, 32, 3), "uint8"), np.arange(12) % 3
    shown = labels < 2
    given = settings("mine", tmp_path, epochs=1, batch_size=4)
    pictures = {"training": (images, labels), "validation": (images[shown], labels[shown])}
    fit(given, model=network(), **pictures)
    found = read_results(given.output)["class_accuracy"]
    assert sorted(found.items())[2] == ("2", None)
    assert 0 <= found["0"] <= 1 and 0 <= found["1"] <= 1


def test_event_files_without_tensorboard_are_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"keras-se\[tensorboard\]"):
        fit(settings(data, tmp_path, tensorboard=True), model=network())


def test_another_run_in_the_same_folder_is_refused(data, tmp_path):
    given = settings(data, tmp_path, epochs=1)
    fit(given, model=network())
    with pytest.raises(FileExistsError, match="seed: 0 there"):
        fit(replace(given, seed=1), model=network())
    small = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    sizes = keras.Sequential([keras.Input((None, None, 3)), layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="fixed size"):
        fit(replace(given, image_size=None, overwrite=True), model=sizes)
    with pytest.raises(ValueError, match="must map"):  # nothing is cleared for a run that cannot be
        fit(replace(given, seed=1, overwrite=True), model=small)
    same = replace(given, data=f"{given.data}/./")  # as completed by a shell
    assert fit(same, model=network()).epoch == [0]
    with pytest.raises(ValueError, match="one sigmoid per class"):
        fit(replace(given, loss="binary", overwrite=True), model=network())
    assert (given.output / "last.keras").exists()
    fit(replace(given, seed=1, overwrite=True), model=network())
    for content in (None, b"", b"no archive"):
        (given.output / "state.npz").unlink()
        if content is not None:
            (given.output / "state.npz").write_bytes(content)
        with pytest.raises(FileExistsError, match=r"without a state\.npz that"):
            fit(replace(given, seed=1), model=network())
        (given.output / "state.npz").write_bytes(b"")


def test_two_runs_into_one_folder_at_a_time_are_refused(data, tmp_path):
    given, refused = settings(data, tmp_path, epochs=1), []

    class Meanwhile(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(BlockingIOError, match=r"Another run .*process \d+ on"):
                fit(replace(given, overwrite=True), model=network())
            refused.append((given.output / "settings.toml").exists())

    fit(given, model=network(), callbacks=[Meanwhile()])
    assert refused == [True]


def test_validation_pictures_are_part_of_a_run(data, tmp_path):
    folder = shutil.copytree(data, tmp_path / "pictures")
    given = settings(folder, tmp_path, epochs=1)
    fit(given, model=network())
    (folder / "val/class0/00.png").unlink()
    with pytest.raises(FileExistsError, match="other pictures"):
        fit(given, model=network())
    (given.output / "settings.toml").write_text("epochs =")
    with pytest.raises(FileExistsError, match=r"without a settings\.toml that can be read"):
        fit(given, model=network())


def test_a_start_without_a_checkpoint_leaves_the_folder_free(data, tmp_path):
    given = settings(data, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(given, model=network(), callbacks=[StopAt(2)])
    assert (given.output / "settings.toml").exists()
    leftover = given.output / f".state.{'0' * 32}.npz"
    leftover.write_bytes(b"of a process that was killed")
    other = replace(given, seed=1, epochs=1)
    assert len(fit(other, model=network()).epoch) == 1
    assert not leftover.exists()


@pytest.mark.parametrize("name", ["settings.toml", "results.json", "tensorboard"])
def test_files_of_others_are_not_replaced(data, tmp_path, name):
    given = settings(data, tmp_path, epochs=1)
    given.output.mkdir()
    (given.output / name).write_text('data = "pictures"\nepochs = 3\n')
    with pytest.raises(FileExistsError, match=f"holds .'{name}'., which no run has left"):
        fit(given, model=network())
    assert [path.name for path in given.output.iterdir()] == [name]
    fit(replace(given, overwrite=True), model=network())
    assert (given.output / "last.keras").exists()


def test_overwrite_resumes_its_own_run_and_repeats_a_complete_one(data, tmp_path):
    given = settings(data, tmp_path, epochs=2, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        fit(given, model=network(), callbacks=[StopAt(5)])
    seen = StopAt(100)
    fit(replace(given, checkpoint_steps=5), model=network(), callbacks=[seen])
    assert seen.left == 100 - 4  # of eight steps four were done and saved
    fit(given, model=network(), callbacks=[seen])
    assert seen.left == 100 - 4 - 8


class EarlyStop(keras.callbacks.Callback):
    """Stop at the end of the second epoch, with weights of its own choice."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1

    def on_train_end(self, logs=None):
        if self.model.stop_training:
            self.model.layers[-1].bias.assign([1.0, 2.0, 3.0])


def test_a_callback_may_stop_a_run(data, tmp_path):
    given = settings(data, tmp_path, epochs=4, ema=0.9)
    stopped = fit(given, model=network(), callbacks=[EarlyStop()])
    assert stopped.epoch == [0, 1]
    np.testing.assert_array_equal(array(stopped.model.layers[-1].bias), [1, 2, 3])
    saved = keras.saving.load_model(given.output / "last.keras")
    equal_weights(saved, stopped.model)
    assert json.loads((given.output / "results.json").read_text())["epochs"] == 2
    again = fit(given, model=network())
    assert again.epoch == [0, 1]  # complete: not gone on with
    equal_weights(again.model, stopped.model)


def test_batch_norm_learns_again_after_a_run_that_broke_off(data, tmp_path):
    model = network()
    given = settings(data, tmp_path, frozen_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        fit(given, model=model, callbacks=[StopAt(10)])  # in the frozen third epoch
    assert all(layer.trainable for layer in model.layers)


def test_a_step_waits_for_no_float_and_callbacks_get_theirs(data, tmp_path, monkeypatch):
    kinds = {"own": set(), "given": set()}

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kinds["given"].add(type(logs["loss"]))

    watch = StopOnNaN.on_train_batch_end

    def spy(self, batch, logs=None):
        kinds["own"].add(type(logs["loss"]))
        watch(self, batch, logs)

    monkeypatch.setattr(StopOnNaN, "on_train_batch_end", spy)
    fit(settings(data, tmp_path, epochs=1), model=network(), callbacks=[Look()])
    assert kinds["given"] == {float}
    assert float not in kinds["own"]


def test_unreadable_pictures_are_skipped_and_named(data, tmp_path):
    folder = tmp_path / "broken"
    for path in data.rglob("*.png"):
        copy = folder / path.relative_to(data)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (folder / "train/class1/03.png").write_bytes(b"no picture")
    (folder / "val/class1/03.png").write_bytes(b"")
    (folder / "val/class2/00.png").write_bytes(b"")
    given = settings(folder, tmp_path, epochs=2)
    fit(given, model=network())
    results = json.loads((given.output / "results.json").read_text())
    assert sorted(results["unreadable"]) == [
        "train/class1/03.png",
        "val/class1/03.png",
        "val/class2/00.png",
    ]
    assert results["pictures"] == 19


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


@pytest.mark.skipif(sys.platform == "win32", reason="there the system limits no file's size")
def test_a_full_disk_is_told_and_loses_nothing(data, tmp_path):
    import resource

    given = settings(data, tmp_path, epochs=2, checkpoint_steps=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    class Full(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))

    try:
        with pytest.raises(OSError, match=r"'.*run/(best\.keras|state\.npz|log\.csv)'"):
            fit(given, model=network(), callbacks=[Full()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, told)
    assert not [path for path in given.output.iterdir() if path.name.startswith(".")]
    assert load_record(given.output / "state.npz").steps == 4
    whole = fit(settings(data, tmp_path / "whole", epochs=2), model=network())
    equal_weights(fit(given, model=network()).model, whole.model)


class PoisonWeights(keras.callbacks.Callback):
    """Make a weight NaN after a step whose loss was finite."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.model.layers[0].kernel.assign(self.model.layers[0].kernel * np.nan)


@pytest.mark.parametrize("step, saved", [(8, 6), (6, 4)])  # of an epoch's end, of a checkpoint
def test_weights_that_are_not_finite_are_not_saved(data, tmp_path, step, saved):
    given = settings(data, tmp_path)
    with pytest.raises(NotFiniteError, match=rf"after step {step} of the run.*\.png"):
        fit(given, model=network(), callbacks=[PoisonWeights(step)])
    assert load_record(given.output / "state.npz").steps == saved
    assert np.isfinite(fit(given, model=network()).history["loss"]).all()


def test_layers_of_the_caller_stay_frozen_after_the_head(data, tmp_path):
    """In the whole network's epochs, and in the model that an interrupted run leaves."""
    model, given = network(), settings(data, tmp_path, head_epochs=1, epochs=2)
    model.layers[0].trainable = False
    before = array(model.layers[0].kernel)
    with pytest.raises(KeyboardInterrupt):
        fit(given, model=model, callbacks=[StopAt(2)])
    flags = [layer.trainable for layer in model.layers]
    assert flags == [False] + [True] * 5
    fit(given, model=model)
    np.testing.assert_array_equal(array(model.layers[0].kernel), before)
    assert [layer.trainable for layer in model.layers] == flags


def test_what_is_logged_from_a_later_epoch_on_is_in_the_history(data, tmp_path):
    class Late(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch:
                logs["late"] = 1.0

    history = fit(settings(data, tmp_path, epochs=2), model=network(), callbacks=[Late()])
    assert history.history["late"] == [None, 1.0]


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


@pytest.mark.parametrize(
    "verbose, left, rate",
    [
        (1, ["Epoch 1/3", "Epoch 2/3 (about 4 min left)", "Epoch 3/3 (about 2 min left)"], "/s: "),
        (2, ["(about 4 min left)", "(about 2 min left)", "seconds 120"], "_per_second "),
    ],
)
def test_progress_tells_pictures_per_second_and_what_is_left(
    data, tmp_path, capsys, monkeypatch, verbose, left, rate
):
    """A bar tells it when an epoch begins, a line when it ends."""
    clock = SimpleNamespace(perf_counter=itertools.count(step=24).__next__)  # 4 steps and the end
    monkeypatch.setattr("keras_se.training.run.progress.time", clock)
    fit(settings(data, tmp_path, verbose=verbose), model=network())
    printed = capsys.readouterr().out
    told = [line for line in printed.splitlines() if line.startswith("Epoch ")]
    assert all(line.endswith(end) for line, end in zip(told, left, strict=True)), told
    assert f"images{rate}0.4167" in printed


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")
def test_several_machines_with_tensorflow_are_refused(data, tmp_path, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    strategy = object.__new__(tf.distribute.MultiWorkerMirroredStrategy)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    with pytest.raises(RuntimeError, match=r"JAX backend.*keras.distribution"):
        fit(settings(data, tmp_path), model=network())


@pytest.mark.parametrize(
    "values, message",
    [
        ({"data": "nowhere"}, "no such folder"),
        ({"data": "nothing.npz"}, "no such file"),
        ({"model": "SEResNet51"}, "Unknown model"),
        ({"model": "a.keras", "image_size": 32, "model_options": {"depth": 8}}, "by name"),
    ],
)
def test_what_cannot_be_trained_is_refused(data, tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        fit(FitSettings(**{"data": data, "output": tmp_path / "run"} | values))


def test_validation_pictures_are_looked_at_before_the_work(data, tmp_path):
    folder = shutil.copytree(data, tmp_path / "pictures")
    for path in (folder / "val").rglob("*.png"):
        path.write_bytes(b"no picture")
    given = settings(folder, tmp_path)
    with pytest.raises(ValueError, match="None of the 21 pictures"):
        fit(given, model=network())
    inside = replace(given, data=str(folder / "train"), output=folder / "train/run")
    with pytest.raises(ValueError, match="must not lie within"):
        fit(inside, model=network())
    shutil.rmtree(folder / "val")
    with pytest.raises(ValueError, match=r"Beside train/ there must be one of val/.*\['train'\]"):
        fit(given, model=network())
    assert not given.output.exists()


def test_a_clone_that_lacks_its_preprocessing_is_refused(data, tmp_path):
    model = ResNetCIFAR(8, weights=None, classes=3, input_shape=(32, 32, 3))
    with pytest.raises(AttributeError, match=r"clone\.preprocess = model\.preprocess"):
        fit(settings(data, tmp_path), model=keras.models.clone_model(model))
