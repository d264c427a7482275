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
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of this run
        if cell.cell_type == "code":  # what native libraries log is of no use to a reader
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    nbformat.write(notebook, path)
    return notebook


if __name__ == "__main__":
    execute(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK)
