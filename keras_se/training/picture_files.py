"""Picture files: found in the folders of their classes, and the size that is asked for."""

from pathlib import Path

from ..layers._common import check_count
from ..picture_folders import SUFFIXES, class_folders, picture_files


def find_pictures(directory: Path) -> dict[str, list[Path]]:
    """The picture files of every class, both in sorted order."""
    if not directory.is_dir():
        raise ValueError(f"There is no such folder. Received: directory={str(directory)!r}")
    folders = class_folders(directory)
    if len(folders) < 2:
        raise ValueError(
            "A folder of pictures needs a folder for each of at least two classes. "
            f"Received: directory={str(directory)!r} with {[folder.name for folder in folders]}"
        )
    files = {folder.name: picture_files(folder) for folder in folders}
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise ValueError(
            f"Every class needs pictures ({', '.join(SUFFIXES)}). "
            f"Received: none in {empty} of directory={str(directory)!r}"
        )
    return files


def check_size(image_size) -> tuple[int, int]:
    """(height, width) from an int or a pair."""
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise ValueError(f"`image_size` must be one or two integers. Received: {image_size!r}")
    for pixels in size:
        check_count("image_size", pixels)
    return size
