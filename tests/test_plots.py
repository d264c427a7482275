"""Figures without a window system, and what is written in them."""

import sys

import numpy as np
import pytest
from matplotlib import pyplot

from keras_se import plots
from keras_se.demo.figure import report
from keras_se.explain import ChannelGates

random = np.random.default_rng(0)


def draw(classes, gates):
    labels = random.integers(0, classes, 50)
    names = [f"class number {index}" for index in range(classes)]
    predictions = {"float": labels, "int8": np.zeros_like(labels)}
    return report("A title", labels, predictions, names, gates), labels


def gate(layer, stage, channels=8):
    return ChannelGates(layer, stage, random.random((50, channels), "float32"))


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_titles_state_the_accuracy_and_each_stage_is_drawn_once(tmp_path):
    figure, labels = draw(3, [gate("a", 2), gate("b", 2), gate("c", 3), gate("own", None)])
    zeros = int((labels == 0).sum())
    assert titles(figure) == [
        "float: 100.0% top-1 accuracy (50 of 50)",
        f"int8: {zeros / 50:.1%} top-1 accuracy ({zeros} of 50)",
        "Stage 2: mean gate per class",
        "Stage 3: mean gate per class",
        "own: mean gate per class",
    ]
    figure.savefig(tmp_path / "report.png")
    assert pyplot.get_fignums() == []  # no window, nothing kept alive


@pytest.mark.parametrize("classes", [2, 40])
def test_few_and_many_classes(tmp_path, classes):
    figure, _ = draw(classes, [gate("a", 2)])
    assert len(figure.axes[0].get_yticks()) <= plots.MOST_LABELLED
    figure.savefig(tmp_path / "report.png")


@pytest.mark.parametrize("name", ["$\\bad$", "US$ to CA$_", "no text \udcff", "漢字"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_of_classes_are_drawn_as_they_are(tmp_path, name):
    labels = np.array([0, 1])
    names = [name, "other"]
    figure = report(
        "A title", labels, {"int8": labels}, names, [ChannelGates("a", 2, random.random((2, 8)))]
    )
    figure.savefig(tmp_path / "report.png")
    plots.confusion(name, labels, labels, names).savefig(tmp_path / "confusion.png")
    drawn = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert drawn == [name.replace("\udcff", "?"), "other"]


def test_without_gates(tmp_path):
    figure, _ = draw(2, [])
    figure.savefig(tmp_path / "report.png")


def test_without_matplotlib_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "keras-se\[plot\]"'):
        draw(2, [])
