"""Files that are either whole or not there."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path to write to; at the end it becomes `path`, in one step.

    A reader sees the old file or the new one, never a part. If the writing fails, what was
    at `path` stays, and the temporary file is removed.

    Args:
        path: the file to make or replace; its folder must exist.

    Yields:
        A path in the same folder with the same suffix.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.txt")
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> path.read_text()
    'whole'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file)  # or a power cut may leave the new name with nothing in it
        os.replace(temporary, path)
    except OSError as error:
        nameless = error.errno is not None and error.filename is None  # a full disk
        if nameless or temporary.name in str(error):  # a name that the caller never gave
            said = str(error).replace(temporary.name, path.name)
            system = error.errno, error.strerror, str(path)
            raise type(error)(*(system if error.errno else (said,))) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # a folder that takes no files has none of it
            temporary.unlink(missing_ok=True)


def check_folder_takes_files(folder: str | os.PathLike) -> None:
    """Raise unless files can be made in a folder; one is, without a name where Linux allows it.

    Raises:
        OSError: of the kind that the system gives, with the folder's name.
    """
    probe = Path(folder, f".{uuid.uuid4().hex}")
    try:
        descriptor, named = _new_file(probe)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise type(error)(
            f"Files cannot be written into the folder {str(folder)!r}: {reason}"
        ) from error
    os.close(descriptor)
    if named:
        probe.unlink(missing_ok=True)


def remove_leftovers(path: str | os.PathLike) -> None:
    """Remove what killed processes left beside `path`, where no other is writing it now."""
    path = Path(path)
    for leftover in path.parent.glob(f".{path.stem}.{'[0-9a-f]' * 32}{path.suffix}"):
        leftover.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike, content: bytes) -> Path:
    """Write a file in one step, flushed to the disk.

    On Linux the bytes have no name until they are complete, so that not even a killed process
    leaves a part behind; elsewhere an exception leaves none, a kill may.

    Args:
        path: the file to make or replace; its folder must exist.
        content: all of its bytes.

    Returns:
        The path.

    Raises:
        OSError: when it cannot be written; what was there before is then unchanged.
    """
    path = Path(path)
    with replacing(path) as temporary:
        descriptor, named = _new_file(temporary)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            if not named:
                # Giving any src_dir_fd makes Python follow the link to the open file.
                os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=descriptor)
    return path


def _new_file(path: Path) -> tuple[int, bool]:
    """A descriptor of a new file, and whether it stands at `path` already."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a file system without it
        if os.path.exists("/proc/self/fd"):
            return os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), False
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), True
