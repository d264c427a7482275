"""A report as its reader gets it: to look at, and to save."""

import json
import os
from pathlib import Path

from ...files import write_whole
from .facts import Facts
from .page import render


class FileReport(Facts):
    """A .tflite file beside the Keras model that it was made from, as a page and as JSON.

    Attributes are those of `keras_se.tflite.report.facts.Facts`.
    """

    def __repr__(self) -> str:
        return f"FileReport({self.file_name or self.model_name!r}, {self.recipe})"

    def to_html(self) -> str:
        """The report as one page that needs nothing besides.

        Raises:
            ImportError: without the extra `report` (Jinja2).
        """
        return render(self)

    def save_json(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write `to_dict` atomically.

        Raises:
            FileExistsError: when there is a file and `overwrite` is False.
            OSError: when it cannot be written; what was there before is then unchanged.
        """
        return _save(path, json.dumps(self.to_dict(), indent=2, allow_nan=False), overwrite)

    def save_html(self, path: str | os.PathLike, overwrite: bool = False) -> Path:
        """Write `to_html` atomically.

        Raises:
            FileExistsError, OSError: as for `save_json`.
            ImportError: without the extra `report` (Jinja2).
        """
        return _save(path, self.to_html(), overwrite)


def _save(path, text: str, overwrite: bool) -> Path:
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it")
    return write_whole(path, f"{text}\n".encode())
