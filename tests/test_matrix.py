"""Every family with every recipe: converts, runs, and agrees or says why not."""

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import applications
from keras_se.applications.registry import FAMILIES
from keras_se.tflite import RECIPES, lower
from keras_se.tflite.accuracy.scores import snr_db
from keras_se.tflite.qat.rounding import fake_quantize_kernel

PATH = Path(__file__).parents[1] / "docs" / "generate_matrix.py"
spec = importlib.util.spec_from_file_location("generate_matrix", PATH)
matrix = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = matrix  # its dataclass looks itself up
spec.loader.exec_module(matrix)


def test_every_family_has_a_row_and_every_recipe_a_bound():
    rows = [vars(applications)[network.constructor] for network in matrix.NETWORKS.values()]
    for family in FAMILIES:
        assert any(row in vars(family).values() for row in rows), family.__name__
    assert matrix.MIN_SNR_DB.keys() == RECIPES.keys()


def test_the_page_is_made_of_its_rows():
    page = matrix.PAGE.read_text()
    rows = matrix.rows_of(page)
    assert rows and "?" not in page
    assert page.startswith(matrix.page(rows).rpartition("\n\n")[0])


def test_a_broken_off_row_goes_on_with_what_it_lacks():
    _, second, *others = RECIPES
    cells = ["32", "120", "?", *["-"] * len(others), "7"]
    page = matrix.page({"SEMobileNet": cells})
    assert matrix.rows_of(page) == {"SEMobileNet": cells}
    assert matrix.unmeasured(cells) == [second, *others]
    assert "Not measured yet: SEResNetCIFAR(8), SEMobileNet," in page


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", matrix.NETWORKS)
def test_a_file_agrees_or_says_why_not(name, recipe):
    report = matrix.measure(matrix.NETWORKS[name], recipe)
    assert matrix.problem(recipe, report) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SEResNetCIFAR(8)", "SEResNet18"])
def test_what_int16_loses_are_its_int8_kernels(name):
    network = matrix.NETWORKS[name]
    model = network.build()
    lowered = lower(model, model.preprocess, logits=True, batch_size=None)
    images = matrix.pictures(network.size).astype("float32")
    logits = np.asarray(lowered(images))
    for layer in lowered.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.name != "preprocess":
            layer.kernel.assign(fake_quantize_kernel(layer.kernel, per_channel=True))
    kernels_alone = snr_db(logits, np.asarray(lowered(images)))
    file = matrix.measure(network, "static_int16x8", model).comparison.snr_db
    assert kernels_alone == pytest.approx(file, abs=1.5)
