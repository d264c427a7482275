"""The table of published weights: whatever of it can be recomputed."""

import inspect
import re

import pytest

from keras_se import applications
from keras_se.applications import ARCHITECTURES, WEIGHTS, list_models, published_weights
from keras_se.applications.blocks.residual import ResidualSpec
from keras_se.applications.registry import MODELS

ROWS = list(WEIGHTS.values())


def test_there_are_as_many_as_are_published():
    assert len(ROWS) == 26
    assert sum(bool(row.release) for row in ROWS) == 9


@pytest.mark.parametrize("row", ROWS, ids=WEIGHTS)
def test_a_row_describes_a_checkpoint(row):
    entry = ARCHITECTURES[row.architecture]
    assert row in published_weights(entry.network, entry.variant)
    assert row.name == f"{row.architecture}.{row.tag}" and row.tag
    assert 60 < row.top1 < 90 and row.top5 is None
    assert row.size >= 160 and 0.8 < row.crop <= 1
    assert row.interpolation in ("bilinear", "bicubic")
    assert row.recipe and row.licence == "Apache-2.0"
    assert row.preprocess.mean == pytest.approx([255 * m for m in (0.485, 0.456, 0.406)])
    assert row.preprocess.std == pytest.approx([255 * s for s in (0.229, 0.224, 0.225)])
    if row.release:
        assert re.fullmatch("[0-9a-f]{8,9}", row.sha256) and f"-{row.sha256}.pth" in row.url
    else:
        assert row.sha256 == "" and row.url.endswith(f"/timm/{row.name}/resolve/main/{FILE}")


FILE = "model.safetensors"


def test_names_urls_and_files_are_different():
    for field in ("name", "url", "filename"):
        assert len({getattr(row, field) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", list_models())
def test_imagenet_is_the_default_where_weights_are_published(name):
    parameters = inspect.signature(MODELS[name]).parameters
    rows = published_weights(name)
    assert parameters["weights"].default == ("imagenet" if rows else None)
    assert all(row.tag in MODELS[name].__doc__ for row in rows)


@pytest.mark.parametrize("name", [name for name in list_models() if published_weights(name)])
def test_the_default_variant_has_the_best_weights(name):
    best, *_ = published_weights(name)
    assert best.top1 == max(row.top1 for row in published_weights(name))
    assert best.variant == list_models()[name][0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_are_networks_of_ours(name):
    entry = ARCHITECTURES[name]
    assert entry.variant in list_models()[entry.network]
    assert isinstance(getattr(applications, entry.network).spec, ResidualSpec)  # see `Layout`
