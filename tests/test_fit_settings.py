"""Settings of `fit`: presets, TOML, values out of range; arrays in a file."""

import numpy as np
import pytest

from keras_se import training
from keras_se.training import FitSettings, settings_file, sources


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
        "both of x_val and y_val": {"x_train": images, "y_train": labels, "x_val": images},
        r"in \[0, 3\).*-1 to 1": {"x_train": images, "y_train": labels - 1}
        | {"class_names": ["a", "b", "c"]},
    }
    for message, arrays in wrong.items():
        np.savez(tmp_path / "data.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            sources.load_sources(given)


@pytest.mark.parametrize("name", training.PRESETS)
def test_presets_and_toml(name, tmp_path):
    made = training.make_settings(name, data="pictures")
    file = tmp_path / "settings.toml"
    file.write_text(settings_file.to_toml(made))
    assert training.make_settings(file=file) == made


def test_a_preset_gives_the_learning_rate_of_its_source():
    rates = {"paper": 0.6, "a1": 5e-3, "a2": 5e-3, "a3": 8e-3, "cifar": 0.1, "default": 0.1}
    for name, rate in rates.items():
        made = training.make_settings(name, data="pictures")
        assert made.base_learning_rate * made.batch_size / 256 == pytest.approx(rate)


def test_options_of_the_network_add_up_while_it_is_the_same(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        'data = "pictures"\n[model_options]\nattention = "cbam"\nname = "später"\n', "utf-8"
    )
    both = training.make_settings(file=file, model_options={"depth": 32})
    assert both.model_options == {"attention": "cbam", "name": "später", "depth": 32}
    file.write_text(settings_file.to_toml(both), "utf-8")
    assert training.make_settings(file=file) == both
    other = training.make_settings("cifar", data="pictures", model="SEResNet50")
    assert other.model_options == {}


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
        ({"decay_at": (30, 60, 90)}, r"parts of the run in \(0, 1\)"),
        ({"decay_at": (0.6, 0.3)}, "rising"),
        ({"validation_crop": 1.5}, r"validation_crop.*in \[0, 1\]"),
        ({"flip": "no"}, "true or false"),
        ({"model_options": {"attention": None}}, "model_options"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        training.make_settings(data="pictures", **values)
