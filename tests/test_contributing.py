"""CONTRIBUTING's "Add a gate in ten minutes", followed to the letter in a copy."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("keras_se", "applications", "tflite")
TESTS = ("conftest.py", "test_layers_contract.py", "test_models_contract.py")
TESTS += ("test_tflite_layers.py",)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def blocks():
    """The code blocks of the chapter, in order: layer, table, equation, commands."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    chapter = text.partition("## Add a gate in ten minutes")[2].partition("\n## ")[0]
    found = re.findall(r"^```(\w+)\n(.*?)^```$", chapter, re.M | re.S)
    assert [language for language, _ in found] == ["python", "diff", "python", "sh"]
    return [code for _, code in found], re.findall(r"`((?:keras_se|tests)/\w[\w/]*\.py)`", chapter)


@pytest.fixture(scope="module")
def checkout(blocks, tmp_path_factory):
    """A copy with the four steps' files."""
    (layer, table, equation, _), paths = blocks
    root = tmp_path_factory.mktemp("checkout")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder)
    (root / "tests").mkdir()
    for name in TESTS:
        shutil.copy(ROOT / "tests" / name, root / "tests")
    shutil.copy(ROOT / "pyproject.toml", root)
    path = {name: root / name for name in paths}
    (path["keras_se/layers/diagonal_gate.py"]).write_text(layer)
    (path["tests/test_diagonal_gate.py"]).write_text(equation)
    edited = path["keras_se/layers/__init__.py"]
    edited.write_text(apply(table, edited.read_text()))
    return root


def apply(diff: str, text: str) -> str:
    """Insert each line with a plus between its neighbours, which must be there, in order."""
    lines, position = text.splitlines(), 0
    for marked in diff.splitlines():
        sign, line = marked[0], marked[1:]
        if sign == "+":
            lines.insert(position, line)
            position += 1
        else:
            assert line in lines[position:], f"CONTRIBUTING.md shows {line!r}, which is not there"
            position = lines.index(line, position) + 1
    return "\n".join(lines) + "\n"


def run(checkout, command):
    """Run a command of the text with this Python, on the copy alone."""
    program, *arguments = shlex.split(command)
    assert program == "python"
    return subprocess.run(
        [sys.executable, *arguments, "-p", "no:cacheprovider"],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("number", "at_least"), [(0, 25), (1, 5)])
def test_the_commands_of_the_text_pass(blocks, checkout, number, at_least):
    commands = blocks[0][3].splitlines()
    assert len(commands) == 2
    process = run(checkout, commands[number])
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-1000:]
    assert int(re.search(r"(\d+) passed", process.stdout)[1]) >= at_least


def test_a_wrong_equation_is_noticed(blocks, checkout):
    layer = checkout / "keras_se/layers/diagonal_gate.py"
    right = layer.read_text()
    layer.write_text(right.replace("self.kernel * means", "self.kernel + means"))
    try:
        process = run(checkout, "python -m pytest tests/test_diagonal_gate.py")
    finally:
        layer.write_text(right)
    assert process.returncode == 1 and "1 failed" in process.stdout


def test_the_new_file_is_of_the_house(blocks, checkout):
    """Formatted and linted as everything else."""
    command = [sys.executable, "-m", "ruff"]
    for check in (["check"], ["format", "--check"]):
        files = ["keras_se/layers/diagonal_gate.py", "keras_se/layers/__init__.py"]
        process = subprocess.run(
            [*command, *check, *files], cwd=checkout, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stdout
