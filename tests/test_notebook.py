"""The walk-through: what is committed was executed, and executes."""

import importlib.util
import shutil
from pathlib import Path

import nbformat
import pytest

from keras_se import tflite

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "pictures_to_phone.ipynb"


def outputs(notebook):
    """Texts and pictures of all cells."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output["text"] for output in shown if output.output_type == "stream"]
    pictures = [output.data["image/png"] for output in shown if "data" in output]
    return "\n".join(texts), pictures


def test_the_committed_notebook_was_executed_in_order():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    texts, pictures = outputs(notebook)
    assert "top-1 agreement" in texts and len(pictures) == 5
    assert NOTEBOOK.stat().st_size < 2**20
    assert not any(
        output.output_type == "error" or output.get("name") == "stderr"
        for cell in code
        for output in cell.outputs
    )


@pytest.mark.slow
def test_it_executes(tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("*-output"))
    spec = importlib.util.spec_from_file_location("execute", EXAMPLES / "execute_notebook.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    copy = tmp_path / "examples" / NOTEBOOK.name
    texts, pictures = outputs(script.execute(copy))
    assert "top-1 agreement" in texts and len(pictures) == 5
    file = copy.parent / "pictures-to-phone-output/run/model.tflite"
    assert tflite.read_labels(file) == tuple("0123456789")
    found = [line.split() for line in texts.splitlines() if line.startswith(("float32 ", "int8 "))]
    assert [row[0] for row in found] == ["float32", "int8"]
    assert all(float(row[2].rstrip("%")) > 93 for row in found)
