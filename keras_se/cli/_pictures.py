"""The folder of pictures that a command runs a model on."""

import argparse
from pathlib import Path

ANY_FOLDER = (
    "pictures, PNG or JPEG, directly in the folder or in one folder per class; resized to the "
    "model's input"
)


def add_pictures_argument(
    parser: argparse.ArgumentParser, text: str = ANY_FOLDER, *, required: bool = True
) -> None:
    """`--data`, with `--images` as another word for it."""
    parser.add_argument(
        "--data", "--images", type=Path, metavar="DIR", required=required, help=text
    )


def check_pictures(folder: Path | None, argument: str = "data") -> None:
    """Raise FileNotFoundError unless there is such a folder, before a model is loaded."""
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"No such folder of pictures. Received: {argument}={str(folder)!r}")
