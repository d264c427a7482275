"""Files that one process holds at a time, by locks that end with the process."""

import contextlib
import errno
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # A byte far behind the text, which others could not read where it is locked.
        os.lseek(descriptor, 2**30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # others: a file system without locks
LOOK_EVERY = 0.2  # seconds


@contextlib.contextmanager
def held(path: str | os.PathLike, wait: bool = False) -> Iterator[None]:
    """Hold a file, which no other process can hold meanwhile, nor this one a second time.

    The operating system lets go of it when the process ends, be it by SIGKILL. The file says
    who holds it, and is removed at the end; one that a killed process left is taken over.
    Where a file system has no locks, or the file cannot be made, nothing is held.

    Args:
        path: the file to make; its folder must exist.
        wait: whether to wait for another holder's end.

    Raises:
        BlockingIOError: where another holds it, unless this one waits. Says who.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "lock")
    >>> with held(path), held(path):
    ...     pass
    Traceback (most recent call last):
    BlockingIOError: process ... holds ...
    """
    path = Path(path)
    while True:
        try:
            descriptor = _take(path)
            break
        except BlockingIOError:
            if not wait:
                raise
            time.sleep(LOOK_EVERY)
    try:
        yield
    finally:
        if descriptor is not None:
            _let_go(descriptor, path)


def _take(path: Path) -> int | None:
    """A descriptor that holds the file, or None where there are no locks."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in TAKEN:
                return None
            raise BlockingIOError(f"{_holder(path)} holds {str(path)!r}") from error
        if _stands_at(descriptor, path):
            with contextlib.suppress(OSError):  # a full disk
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            return descriptor
        os.close(descriptor)  # its holder has removed it


def _stands_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text() or "another process"
    return "another process"


def _let_go(descriptor: int, path: Path) -> None:
    """Remove the file, while nobody else can hold it, and close it."""
    if sys.platform == "win32":  # removes no open file: here that is what nobody else can do
        os.close(descriptor)
    with contextlib.suppress(OSError):
        path.unlink()
    if sys.platform != "win32":
        os.close(descriptor)
