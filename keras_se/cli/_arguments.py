"""What several commands take: files, checked before the work begins, and pixels."""

import argparse
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import check_folder_takes_files
from ._console import working

if TYPE_CHECKING:
    import keras

    from ..tflite.normalisation import Normalisation

# Where raw pixels are normalised -> the flag that says so, and its help.
PREPROCESS = {
    "carried": (
        "--preprocess",
        "raw pixels in [0, 255] go through the model's own normalisation (model.preprocess), which "
        "a file that is written takes over; the default where the model carries one",
    ),
    "included": (
        "--preprocess-included",
        "the model normalises raw pixels itself, as those of tflite.strip, prune and cluster do; a "
        "file that is written takes them as they are stored",
    ),
    "tf": (
        "--preprocess-tf",
        "pixels are scaled to [-1, 1], as keras.applications does for MobileNet, MobileNetV2, "
        "Inception, Xception, ResNetV2 and NASNet",
    ),
    "caffe": (
        "--preprocess-caffe",
        "ImageNet's mean is subtracted from blue, green and red in this order, as "
        "keras.applications does for ResNet and VGG",
    ),
    "torch": (
        "--preprocess-torch",
        "ImageNet's mean is subtracted, and its deviation divided by, as keras.applications does "
        "for DenseNet",
    ),
    "none": ("--no-preprocess", "pixels reach the model, and a file, unchanged"),
}


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


def check_input(path: Path) -> None:
    """Raise OSError unless there is a file."""
    if path.is_dir():
        raise IsADirectoryError(f"A folder, not a file: {str(path)!r}")
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {str(path)!r}")


def check_output(path: Path, overwrite: bool, *others: Path | None, suffix: str = "") -> None:
    """Raise unless a file can be written, as far as that can be known.

    Args:
        path: of the file.
        overwrite: whether one that is there may be replaced.
        others: files that the command reads or writes besides, which may not be this one.
        suffix: that the file must have, such as ".tflite".

    Raises:
        ValueError: if it is one of the others, or has another suffix.
        FileExistsError: if there is one and `overwrite` is False.
        FileNotFoundError: if the folder is missing.
        IsADirectoryError: if the path is a folder.
        OSError: if the folder takes no files.
    """
    if any(other is not None and path.resolve() == other.resolve() for other in others):
        raise ValueError(f"The output is another file of the command too: {str(path)!r}")
    if path.is_dir():
        raise IsADirectoryError(f"The output is a folder, not a file: {str(path)!r}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass --overwrite to replace it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"No such folder for the output: {str(path.parent)!r}")
    if suffix and path.suffix.lower() != suffix:
        raise ValueError(f"The output is a {suffix} file. Received: {str(path)!r}")
    check_folder_takes_files(path.parent)


def check_output_folder(path: Path) -> None:
    """Raise OSError unless a folder takes files, or can be made."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"The output is no folder: {str(path)!r}")
    there = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    check_folder_takes_files(there)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without those that are empty at its end.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no UTF-8 text.
    """
    check_input(path)
    try:
        return path.read_text("utf-8-sig").rstrip().splitlines()  # editors of Windows mark it
    except UnicodeDecodeError as error:
        raise ValueError(f"Not a UTF-8 text file: {str(path)!r}") from error


def add_input_size_argument(parser: argparse.ArgumentParser) -> None:
    """Let the user say what the model leaves open."""
    parser.add_argument(
        "--input-size",
        type=int,
        metavar="PIXELS",
        help="height and width, for a model that leaves them open",
    )


def add_preprocess_argument(parser: argparse.ArgumentParser) -> None:
    """Let the user say where raw pixels, which a folder of pictures gives, are normalised."""
    group = parser.add_mutually_exclusive_group()
    for where, (flag, text) in PREPROCESS.items():
        group.add_argument(
            flag, dest="preprocess", action="store_const", const=where, default=None, help=text
        )


def preprocess_of(model: "keras.Model", where: str | None) -> "Normalisation":
    """The normalisation as `keras_se.tflite` takes it.

    Args:
        model: any.
        where: one of `PREPROCESS`; None is "carried" where the model carries one, else "none".

    Raises:
        ValueError: for "carried" and a model that carries none.
    """
    from ..applications.preprocessing import MODES
    from ..tflite import Preprocess
    from ..tflite.normalisation import INCLUDED

    if where in MODES:
        return MODES[where].for_channels(model.inputs[0].shape[-1])
    if where == INCLUDED:
        return INCLUDED
    preprocess = getattr(model, "preprocess", None)
    if not isinstance(preprocess, Preprocess):
        preprocess = None
    if where == "carried" and preprocess is None:
        raise ValueError(f"--preprocess: the model {model.name!r} carries no `preprocess`")
    return None if where == "none" else preprocess


def add_vela_arguments(parser) -> None:
    """`--vela` and the NPU that it compiles for; see `vela_of`."""
    parser.add_argument(
        "--vela", action="store_true", help="compile the file for an Ethos-U NPU too"
    )
    parser.add_argument(
        "--accelerator",
        default="ethos-u55-128",
        metavar="NPU",
        help="of --vela, with its multiply-accumulates per cycle (default: %(default)s)",
    )


def vela_of(arguments):
    """What Vela says of `arguments.file`, where it is asked for; else None."""
    if not arguments.vela:
        return None
    from .. import tflite

    with working(f"compiling for {arguments.accelerator}"):
        return tflite.vela(arguments.file, arguments.accelerator)
