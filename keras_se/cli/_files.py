"""Files that a command reads and writes, checked before the work begins."""

from pathlib import Path

from ..files import check_folder_takes_files


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
