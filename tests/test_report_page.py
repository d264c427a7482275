"""The report as people meet it: from the command line, in a browser, on a phone.

The browser is Chromium, headless (`apt-get install chromium`); without one its tests are skipped.
"""

import html
import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import cli, tflite
from keras_se.layers import SqueezeExcite

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
SECTIONS = "summary findings confusion pictures layers gates recipes operators devices origin"
CLASSES = ("<script>document.title='owned'</script>", "an-unbreakable-" + 9 * "name", "c", "d")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, its int8 file, and five pictures of each of four classes."""
    root, layers = tmp_path_factory.mktemp("page"), keras.layers
    random = np.random.default_rng(0)
    for name in "abcd":
        (root / "pictures" / name).mkdir(parents=True)
        for index in range(5):
            pixels = random.integers(0, 256, (16, 16, 3), "uint8")
            Image.fromarray(pixels).save(root / "pictures" / name / f"{index}.png")
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            SqueezeExcite(ratio=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.save(root / "model.keras")
    tflite.convert(model, "static_int8", root / "pictures").save(root / "model.tflite")
    return root


@pytest.fixture(scope="module")
def page(folder):
    """A page whose classes have difficult names, of a model that has changed since."""
    model = keras.saving.load_model(folder / "model.keras")
    model.layers[-1].set_weights([-weights for weights in model.layers[-1].get_weights()])
    report = tflite.report(
        model,
        folder / "model.tflite",
        folder / "pictures",
        class_names=CLASSES,
        recipes=("float32",),
        runs=2,
    )
    assert len(report.disagreements) > 5
    return report.save_html(folder / "page.html")


def command(folder, *more):
    files = (folder / "model.keras", folder / "model.tflite", "--images", folder / "pictures")
    return [str(part) for part in ("report", *files, *more)]


def test_the_command_writes_page_and_json(folder):
    outputs = (folder / "out.html", folder / "out.json")
    options = ("--recipes", "float32", "--runs", "3", "-o", outputs[0], "--json", outputs[1])
    arguments = command(folder, *options)
    process = subprocess.run(
        [sys.executable, "-m", "keras_se", *arguments], capture_output=True, text=True, timeout=300
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert "top-1 agreement" in process.stdout and f"wrote {outputs[1]}" in process.stdout
    figures = json.loads(outputs[1].read_text())
    assert figures["comparison"]["images"] == 20 and figures["class_names"] == list("abcd")
    assert figures["origin"]["command"] == " ".join(["keras-se", *arguments])
    assert "keras-se report" in outputs[0].read_text()


def test_errors_are_one_line_and_come_before_the_work(folder, capfd):
    kept = folder / "kept.html"
    kept.write_text("mine")
    cases = {
        ("-o", kept): "exists; pass --overwrite",
        ("-o", folder / "new.html", "--json", kept): "exists; pass --overwrite",
        ("-o", folder / "new.html", "--recipes", "int4"): "Unknown recipe 'int4'",
        ("-o", folder / "nowhere" / "new.html"): "No such folder",
    }
    for options, message in cases.items():
        assert cli.main(command(folder, *options)) == 2
        printed, errors = capfd.readouterr()
        (line,) = errors.splitlines()
        assert message in line and not printed
    assert kept.read_text() == "mine" and not (folder / "new.html").exists()


def test_without_jinja2_the_pip_line_is_named(folder, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert cli.main(command(folder, "-o", folder / "new.html")) == 2
    assert 'pip install "keras-se[report]"' in capfd.readouterr().err


def browse(path, *options):
    """The DOM after scripts have run, and what the console said."""
    process = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(*options, "--virtual-time-budget=2000", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout, [line for line in process.stderr.splitlines() if "CONSOLE" in line]


@in_a_browser
def test_a_browser_shows_all_sections_and_complains_of_nothing(page):
    dom, console = browse(page)
    assert console == []
    assert "<title>model.tflite: conversion report</title>" in dom  # no label ran as a script
    assert re.findall(r'id="(\w+)"', dom) == SECTIONS.split()
    assert dom.count("<circle") > 5 and dom.count("<figure>") >= 1
    assert "<script" not in dom


@in_a_browser
def test_the_console_is_heard(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<script>console.error('heard'); missing()</script>")
    assert len(browse(path)[1]) == 2


@in_a_browser
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_not_wider_than_the_window(page, tmp_path, width):
    """In a frame of that width, because a browser's own window has a least one."""
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" style="width:{width}px;height:640px;border:0" '
        f'srcdoc="{html.escape(page.read_text(), quote=True)}"></iframe>'
        "<script>onload = () => { const d = document.getElementById('f').contentDocument, "
        "e = d.documentElement; const boxes = [...d.querySelectorAll('.scroll')];"
        "document.title = [d.readyState, e.clientWidth, e.scrollWidth,"
        "boxes.some(b => b.scrollWidth > b.clientWidth), "
        "[...d.images].every(i => i.naturalWidth > 0)].join() }</script>"
    )
    dom, _ = browse(frame, "--hide-scrollbars")  # phones lay theirs over the page
    state, client, scroll, some_box_scrolls, pictures_are_there = re.search(
        "<title>(.*)</title>", dom
    )[1].split(",")
    assert (state, int(client)) == ("complete", width)
    assert int(scroll) <= width
    assert some_box_scrolls == "true"  # the table with the long names does, not the page
    assert pictures_are_there == "true"


@in_a_browser
def test_a_picture_of_the_page_is_not_blank(page, tmp_path):
    picture = tmp_path / "page.png"
    subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--window-size=1000,1600", f"--screenshot={picture}", page.as_uri()),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with Image.open(picture) as image:
        assert image.size == (1000, 1600)
        assert len(image.convert("RGB").getcolors(maxcolors=10**6)) > 50
