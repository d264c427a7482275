"""Run examples/pictures_to_phone.ipynb and keep what it shows, in the file itself.

    pip install "keras-se[dev]"
    python examples/execute_notebook.py              # a minute on two free cores

Cells that change are run again this way before they are committed; a test runs them too.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("pictures_to_phone.ipynb")
FORMS = ("image/png", "text/html")  # in which an output is kept, where it offers several


def execute(path: Path) -> nbformat.NotebookNode:
    """Run all cells in the notebook's folder, and write them with their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: for a cell that raises.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    tidy(notebook)
    nbformat.write(notebook, path)
    return notebook


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what is of this run or of no use to a reader."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.NotebookNode(kernelspec=kernel)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
        kept: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":  # what native libraries log
                continue
            if kept and output.output_type == kept[-1].output_type == "stream":
                kept[-1].text += output.text
                continue
            if "data" in output:
                output.data = {kind: output.data[kind] for kind in FORMS if kind in output.data}
            kept.append(output)
        if cell.cell_type == "code":
            cell.outputs = kept


if __name__ == "__main__":
    execute(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK)
