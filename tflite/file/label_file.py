"""The names of the classes, in a zip archive at the end of a .tflite file.

MediaPipe and the TFLite metadata library look for them there.
"""

import io
import os
import zipfile
from collections.abc import Sequence

from .run import read_model

LABEL_FILE = "labels.txt"


def read_labels(model: bytes | str | os.PathLike) -> tuple[str, ...] | None:
    """The class names that a file carries; None without.

    Raises:
        ValueError: for a file that is no TFLite model.
        FileNotFoundError: when there is no file at the path.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(read_model(model))) as archive:
            return tuple(archive.read(LABEL_FILE).decode().splitlines())
    except (zipfile.BadZipFile, KeyError):
        return None


def append_labels(content: bytes, labels: Sequence[str]) -> bytes:
    """The file with a zip archive behind it, uncompressed, since MediaPipe reads no other."""
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        # A fixed date, so that the same model gives the same bytes.
        archive.writestr(zipfile.ZipInfo(LABEL_FILE), "\n".join(labels).encode())
    return file.getvalue()
