"""Models that a command reads."""

import argparse
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ._files import check_input

if TYPE_CHECKING:
    import keras


def load_model(path: Path) -> "keras.Model":
    """Load a .keras file; layers and networks of this library are known.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError, ValueError: if it is no .keras file, or Keras cannot build what it describes; if
            it needs code of its author, such as a `Lambda` layer's.
    """
    check_input(path)
    if path.suffix != ".keras" or not _holds_a_model(path):
        raise ValueError(f"Not a Keras model file (.keras, from model.save): {str(path)!r}")
    import keras

    from .. import applications, layers  # noqa: F401  (registers them with Keras)

    try:
        return keras.saving.load_model(path, compile=False)
    except (TypeError, ValueError) as error:
        code = _own_code(str(error))
        if code is None:
            raise
        raise ValueError(
            f"{str(path)!r} holds {code}, which a command does not know or run: load it in Python, "
            "with keras.saving.load_model(path, custom_objects=...), or safe_mode=False for a "
            "Lambda that you trust, and call keras_se there"
        ) from error


def _own_code(message: str) -> str | None:
    """What of its author's own code a file needs, in Keras' message; None where it is not that.

    >>> _own_code("Could not locate class 'Scale'. Make sure custom classes")
    "the class 'Scale'"
    """
    if "safe_mode=False" in message:
        return "the code of a Lambda layer"
    missing = re.search(r"Could not locate (class|function) '(\w+)'", message)
    return missing and f"the {missing[1]} {missing[2]!r}"


def _holds_a_model(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "config.json" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def add_input_size_argument(parser: argparse.ArgumentParser) -> None:
    """Let the user say what the model leaves open."""
    parser.add_argument(
        "--input-size",
        type=int,
        metavar="PIXELS",
        help="height and width, for a model that leaves them open",
    )
