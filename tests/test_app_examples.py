"""The examples for apps: what is generated is what is committed, and label_image names pictures."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_se import tflite

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("snippets", EXAMPLES / "generate_snippets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def content(script):
    return script.example_file()


def test_the_committed_snippets_are_those_of_a_converted_file(script, content, tmp_path):
    (tmp_path / "m.tflite").write_bytes(content)
    script.main([str(tmp_path / "m.tflite"), "--output", str(tmp_path)])
    for name in ("android/Classifier.kt", "ios/Classifier.swift"):
        written = (tmp_path / name).read_text()
        assert written == (EXAMPLES / name).read_text(), (
            f"run examples/generate_snippets.py: {name}"
        )
        assert not re.search("@[A-Z_]+@", written)


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_snippets_of_other_files(script, content, io):
    model = script.applications.SEResNetCIFAR(8, weights=None, classes=4)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    other = tflite.convert(model, "static_int8", pictures, io=io, preprocess=model.preprocess)
    if io == "int8":
        with pytest.raises(ValueError, match='io="uint8"'):
            script.snippets(other.model)
        return
    kotlin, swift = script.snippets(other.model).values()
    assert "buffer(12288)" in kotlin and "putFloat" in kotlin and "CLASSES = 4" in kotlin
    assert "Float.self" in swift and "12288 bytes" in swift


def test_label_image(content, tmp_path):
    (tmp_path / "m.tflite").write_bytes(content)
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "p.png")
    command = [sys.executable, EXAMPLES / "label_image.py", tmp_path / "m.tflite"]
    process = subprocess.run(
        [*command, tmp_path / "p.png", "--top", "2"], capture_output=True, text=True, check=True
    )
    scores = tflite.Runner(content)(pixels)[0][0]
    labels = tflite.read_labels(content)
    expected = [f"{scores[i]:.4f}  {labels[i]}" for i in np.argsort(-scores, kind="stable")[:2]]
    assert process.stdout.splitlines() == expected


def test_label_image_needs_no_keras():
    source = (EXAMPLES / "label_image.py").read_text()
    modules = re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE)
    assert set(modules) == {"argparse", "zipfile", "numpy", "ai_edge_litert", "PIL"}
