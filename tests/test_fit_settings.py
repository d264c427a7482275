"""Settings of `fit`: presets, TOML, values out of range; pictures in memory."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from fit_runs import write_pictures

from keras_se import training
from keras_se.training import FitSettings, sources
from keras_se.training.run.stage import Stage, make_loss, make_optimizer, make_schedule
from keras_se.training.settings import to_toml
from keras_se.training.settings.fit_settings import NO_PART_OF_THE_RESULT
from keras_se.training.sources import Source
from keras_se.training.sources.arrays import CLASS_NAMES


def test_arrays_in_an_npz_file(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8), np.arange(30) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels[:, None])
    given = FitSettings(tmp_path / "data.npz", output=tmp_path / "run", validation=0.2)
    kept, aside = sources.load_sources(given)
    assert (len(kept), len(aside)) == (24, 6)
    assert kept.class_names == ("0", "1", "2")
    wrong = {
        "uint8": {"x_train": images / 255, "y_train": labels},
        "no pictures in x_train": {"x_train": images[:0], "y_train": labels[:0]},
        "both of x_val and y_val": {"x_train": images, "y_train": labels, "x_val": images},
        r"in \[0, 3\).*-1 to 1": {"x_train": images, "y_train": labels - 1}
        | {"class_names": ["a", "b", "c"]},
    }
    for message, arrays in wrong.items():
        np.savez(tmp_path / "data.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            sources.load_sources(given)


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_data_set_or_arrays_of_the_caller(tmp_path):
    given = FitSettings("mine", validation=0.2)
    images, labels = pixels(30, 32, 32, 3), np.arange(30) % 3
    whole = tf.data.Dataset.from_tensor_slices((images * np.float32(0.999), labels))
    for held in ((images, labels), whole, whole.batch(7)):
        kept, aside = sources.load_sources(given, held, (images[:3], labels[:3, None]))
        assert (len(kept), len(aside)) == (30, 3)
        np.testing.assert_array_equal(kept.read(17), images[17])
        assert kept.labels.tolist() == labels.tolist()
    kept, aside = sources.load_sources(given, (images, labels))
    assert (len(kept), len(aside)) == (24, 6)


def test_a_data_set_of_a_folder(tmp_path):
    folder = write_pictures(tmp_path)
    data = keras.utils.image_dataset_from_directory(
        folder / "train", image_size=(32, 32), batch_size=8, shuffle=False, verbose=False
    )
    kept, _ = sources.load_sources(FitSettings("mine"), data, data)
    read, _ = sources.load_sources(FitSettings(folder))
    assert kept.class_names == read.class_names
    for number in (0, 20, 41):
        np.testing.assert_array_equal(kept.read(number), read.read(number))


@pytest.mark.parametrize("mode", ["categorical", "binary", "int"])
def test_the_label_modes_of_keras(tmp_path, mode):
    folder = write_pictures(tmp_path) / "train"
    if mode == "binary":
        shutil.rmtree(folder / "class2")
    data = keras.utils.image_dataset_from_directory(
        folder, image_size=(32, 32), label_mode=mode, shuffle=False, verbose=False
    )
    kept, _ = sources.load_sources(FitSettings("mine"), data, data)
    read, _ = sources.load_sources(FitSettings(folder), None, None)
    assert kept.class_names == read.class_names
    assert np.bincount(kept.labels).tolist() == [14] * len(kept.class_names)


def test_pictures_of_the_library_and_classes_without_one():
    images, labels = pixels(9, 8, 8, 3), np.arange(9) % 3
    held = training.Pictures(images, labels, ("a", "b", "c", "d"))
    kept, _ = sources.load_sources(FitSettings("mine"), held, held)
    assert kept.class_names == ("a", "b", "c", "d")
    one_hot = images, np.eye(4)[labels]
    kept, _ = sources.load_sources(FitSettings("mine"), one_hot, one_hot)
    assert len(kept.class_names) == 4
    assert kept.labels.tolist() == [0, 1, 2] * 3


def test_other_pixels_are_other_pictures():
    images, labels = pixels(9, 8, 8, 3), np.arange(9) % 3
    one, again, other = (
        sources.load_sources(FitSettings("mine"), (given, labels))[0].digest()
        for given in (images, images.copy(), 255 - images)
    )
    assert one == again != other


def test_data_sets_that_cannot_be_used():
    images, labels = pixels(4, 8, 8, 3), np.arange(4)
    endless = tf.data.Dataset.from_tensor_slices((images, labels)).repeat()
    for given, message in (
        (endless, "finite"),
        ((images / 255, labels), "not normalised"),
        ((images, labels / 4), "integer labels"),
        ((images, np.array(["a", "b", "a", "b"])), "Labels are integers.*<U1"),
        ((images, np.full((4, 2), 0.5)), "or one-hot"),
        (tf.data.Dataset.from_tensor_slices(images), r"elements \(images, labels\)"),
        (tf.data.Dataset.from_tensor_slices((images, labels, labels)), r"\(images, labels\)"),
        (tf.data.Dataset.from_tensor_slices({"image": images}), r"\(images, labels\)"),
        ((images[..., :2], labels), r"\(n, height, width, 3\)"),
        ("pictures", "Received: str"),
    ):
        with pytest.raises(ValueError, match=message):
            sources.load_sources(FitSettings("mine"), given)
    with pytest.raises(ValueError, match="beside them"):
        sources.load_sources(FitSettings("mine"), None, (images, labels))


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_data_sets_of_keras(name, monkeypatch):
    grey, classes = "mnist" in name, len(CLASS_NAMES[name])
    parts = [
        (pixels(count, 28, 28) if grey else pixels(count, 32, 32, 3), np.arange(count) % classes)
        for count in (120, 110)
    ]
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: parts)
    training, test = sources.load_sources(FitSettings(name))
    assert (len(training), len(test), len(training.class_names)) == (120, 110, classes)
    picture = training.read(5)
    assert picture.shape[-1] == 3 and picture.dtype == np.uint8
    np.testing.assert_array_equal(
        picture[..., 1], parts[0][0][5] if grey else parts[0][0][5][..., 1]
    )


def test_a_download_that_fails_says_of_what(monkeypatch):
    def load_data():
        raise Exception("URL fetch failure on https://example.org: None -- no such host")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    with pytest.raises(OSError, match="could not load its data set 'mnist': URL fetch failure"):
        sources.load_sources(FitSettings("mnist"))


@pytest.mark.parametrize("name", training.PRESETS)
def test_presets_and_toml(name, tmp_path):
    made = training.make_settings(name, data="pictures")
    file = tmp_path / "settings.toml"
    file.write_text(to_toml(made))
    assert training.make_settings(file=file) == made


def test_a_preset_gives_the_learning_rate_of_its_source():
    rates = {"paper": 0.6, "a1": 5e-3, "a2": 5e-3, "a3": 8e-3, "cifar": 0.1, "default": 0.1}
    for name, rate in rates.items():
        made = training.make_settings(name, data="pictures")
        assert made.base_learning_rate * made.batch_size / 256 == pytest.approx(rate)


def test_the_rate_falls_at_the_step_of_the_source():
    """He et al.: at 32,000 and 48,000 of 64,000 steps, counted from 0."""
    made = training.make_settings("cifar", data="pictures")
    schedule = make_schedule(made, Stage(0, 0, 160, False), 400)
    rates = [float(schedule(step)) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


WHOLE, HEAD = (Stage(0, 0, 2, head) for head in (False, True))


def test_every_setting_of_sgd_reaches_it():
    given = FitSettings(
        "mine",
        batch_size=128,
        base_learning_rate=0.8,
        head_learning_rate=0.2,
        warmup=0.25,
        momentum=0.7,
        nesterov=False,
        weight_decay=3e-3,
        clip_norm=2.0,
        ema=0.98,
    )
    whole, head = (make_optimizer(given, stage, 100) for stage in (WHOLE, HEAD))
    assert (whole.momentum, whole.nesterov, whole.l2) == (0.7, False, 3e-3)
    assert (whole.global_clipnorm, whole.ema_momentum) == (2.0, 0.98)
    assert whole.use_ema and not head.use_ema
    rates = [float(make_schedule(given, WHOLE, 100)(step)) for step in range(200)]
    assert rates.index(max(rates)) == 50 and max(rates) == pytest.approx(0.4)
    assert float(head.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_decoupled_decay_is_that_of_kernels_alone(optimizer):
    given = FitSettings("mine", optimizer=optimizer, weight_decay=0.1, batch_size=256)
    made = make_optimizer(given, HEAD, 100)  # at a constant rate of 0.1
    ones = keras.initializers.Ones()
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, kernel_initializer=ones, bias_initializer=ones),
            keras.layers.BatchNormalization(beta_initializer=ones),
        ]
    )
    variables = model.trainable_variables
    made.apply([keras.ops.zeros(variable.shape) for variable in variables], variables)
    left = {variable.name: float(keras.ops.max(variable)) for variable in variables}
    assert left == {"kernel": pytest.approx(0.99), "bias": 1, "gamma": 1, "beta": 1}


@pytest.mark.parametrize("loss", ["crossentropy", "binary"])
def test_the_loss_by_its_name_smooths_and_knows_what_a_mixture_shows(loss):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    mixed, logits = np.array([[0.19, 0.6, 0.21]]), np.array([[0.3, -1.2, 0.8]])
    if loss == "binary":
        q, p = 0.7 * np.array([[0, 1, 1]]) + 0.1, 1 / (1 + np.exp(-logits))
        expected = -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()
    else:
        q, p = 0.7 * mixed + 0.1, np.exp(logits) / np.exp(logits).sum()
        expected = -(q * np.log(p)).sum()
    made = make_loss(model, FitSettings("mine", loss=loss, label_smoothing=0.3))
    assert float(made(mixed, logits)) == pytest.approx(expected, rel=1e-5)


def test_names_of_files_that_are_no_text():
    """As an archive from another system leaves them: Latin-1, or halves of a character."""
    labels = np.zeros(1, int)
    sources_ = [
        Source(read=None, labels=labels, class_names=("a",), name=lambda number, name=name: name)
        for name in (b"\xe4.png".decode(errors="surrogateescape"), "\ud83d.png", "ä.png")
    ]
    assert len({source.digest() for source in sources_}) == 3


def test_options_of_the_network_add_up_while_it_is_the_same(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        'data = "pictures"\n[model_options]\nattention = "cbam"\nname = "später"\n', "utf-8"
    )
    both = training.make_settings(file=file, model_options={"depth": 32})
    assert both.model_options == {"attention": "cbam", "name": "später", "depth": 32}
    file.write_text(to_toml(both), "utf-8")
    assert training.make_settings(file=file) == both
    other = training.make_settings("cifar", data="pictures", model="SEResNet50")
    assert other.model_options == {}


def test_settings_hold_plain_values(tmp_path):
    """NumPy's numbers and paths, and a character that JSON and TOML write otherwise."""
    made = FitSettings(
        tmp_path / "del\x7f",
        epochs=np.int64(7),
        seed=np.int32(3),
        weight_decay=np.float32(0.5),
        flip=np.bool_(False),
        weights=tmp_path / "a.safetensors",
    )
    file = tmp_path / "settings.toml"
    file.write_text(to_toml(made), "utf-8")
    assert training.make_settings(file=file) == made


def test_every_field_comes_back_from_toml(tmp_path):
    other = {
        "weights": "w",
        "model_options": {"depth": 8, "name": "Löwe 'a\"b\\"},
        "decay_at": (0.25,),
        "epochs": 9,
        "image_size": 40,
        "loss": "binary",
        "optimizer": "lamb",
        "schedule": "step",
        "warmup": 0.0,
        "crop": "none",
        "precision": "mixed_bfloat16",
        "jit": "on",
    }
    for one in dataclasses.fields(FitSettings):
        if one.name not in other and one.name not in ("data", *NO_PART_OF_THE_RESULT):
            kind = type(one.default)
            other[one.name] = {bool: lambda d: not d, str: str, int: lambda d: d + 1}.get(
                kind, lambda d: d / 2 + 0.125
            )(one.default)
    made = FitSettings("Bilder von überall/ä b", **other | {"model": "SEResNet50"})
    file = tmp_path / "settings.toml"
    file.write_text(to_toml(made), "utf-8")
    assert training.make_settings(file=file) == made


def test_values_win_over_the_file_and_the_file_over_the_preset(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('preset = "cifar"\ndata = "pictures"\nepochs = 10\nbatch_size = 32\n')
    made = training.make_settings(file=file, batch_size=16)
    assert (made.epochs, made.batch_size, made.weight_decay) == (10, 16, 1e-4)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"crop": "random"}, "one of"),
        ({"epochs": 0}, "`epochs` must be a whole number of at least 1"),
        ({"seed": 1.5}, "`seed` must be a whole number of at least 0"),
        ({"devices": -1}, "`devices` must be a whole number of at least 0"),
        ({"checkpoint_steps": True}, "`checkpoint_steps` must be a whole number"),
        ({"seed": 2**31}, r"`seed` must be a number in \[0, 2147483648\)"),
        ({"epochs": 3, "head_epochs": 3}, "besides"),
        ({"schedule": "step"}, "warm-up"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"epoch": 3}, "Unknown settings"),
        ({"decay_at": (30, 60, 90)}, r"parts of the run in \(0, 1\)"),
        ({"decay_at": (0.6, 0.3)}, "rising"),
        ({"validation_crop": 1.5}, r"validation_crop.*in \[0, 1\]"),
        ({"flip": "no"}, "true or false"),
        ({"model_options": {"attention": None}}, "model_options"),
        ({"model_options": "depth"}, "by name, such as"),
        ({"weights": 3}, "`weights` must be text"),
        ({"model": b"\xff.keras".decode(errors="surrogateescape")}, "must be Unicode"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        training.make_settings(data="pictures", **values)
