"""Reads what `torch.save` wrote, without PyTorch and without running its pickle.

Both forms are read: the zip archive (PyTorch 1.6 and later) and the stream of pickles of
before. Sizes that the file claims are compared with the file's own size, so that a small
file cannot ask for much memory. What a pickle may hold is in `torch_pickle`.

Format: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np

from .torch_pickle import unpickle

LEGACY_MAGIC, LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001


def read_torch_file(path: Path):
    """The object that `torch.save` wrote: containers, numbers, strings and NumPy arrays.

    Raises:
        pickle.UnpicklingError: for anything but tensors in plain containers.
        ValueError: if the file is no such file, is damaged, or contradicts itself.
    """
    try:
        return _read_archive(path) if zipfile.is_zipfile(path) else _read_stream(path)
    except (pickle.UnpicklingError, ValueError, MemoryError, OSError):
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError(f"{_not_ours(path)} ({type(error).__name__}: {error})") from error


def _read_archive(path):
    """A zip archive: NAME/data.pkl, and NAME/data/KEY for each storage."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError(f"{_not_ours(path)}: entries are compressed or overlap")
        names = {entry.filename for entry in entries}
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"{_not_ours(path)}: no data.pkl in the archive, or several")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"

        def read_storage(key, dtype, size):
            stored_dtype = dtype.newbyteorder(">" if order == b"big" else "<")
            return np.frombuffer(archive.read(f"{folder}data/{key}"), stored_dtype)

        return unpickle(io.BytesIO(archive.read(pickles[0])), read_storage)


def _read_stream(path):
    """Pickles of magic number, version, machine, the object and the storages' names; then bytes."""
    data = path.read_bytes()
    stream = io.BytesIO(data)
    if not data.startswith(b"\x80") or unpickle(stream) != LEGACY_MAGIC:
        raise ValueError(_not_ours(path))
    version, machine = unpickle(stream), unpickle(stream)
    if version != LEGACY_VERSION:
        raise ValueError(f"{_not_ours(path)}: version {version}")
    order = "<" if machine.get("little_endian", True) else ">"
    storages: dict[str, np.ndarray] = {}

    def promise_storage(key, dtype, size):  # its bytes come after the pickle
        claimed = sum(array.nbytes for array in storages.values()) + size * dtype.itemsize
        if claimed > len(data):
            raise ValueError(f"{_not_ours(path)}: storages of {claimed} bytes in {len(data)}")
        storages[key] = np.empty(size, dtype.newbyteorder(order))
        return storages[key]

    result = unpickle(stream, promise_storage)
    stored = unpickle(stream)
    if missing := sorted(storages.keys() - set(stored)):
        raise ValueError(f"{_not_ours(path)}: no bytes of storages {missing}")
    for key in stored:
        array = storages[key]
        (size,) = np.frombuffer(stream.read(8), f"{order}i8")
        if size != array.size:
            raise ValueError(f"{_not_ours(path)}: storage {key!r} of {size}, not {array.size}")
        array[:] = np.frombuffer(stream.read(array.nbytes), array.dtype, array.size)
    return result


def _not_ours(path) -> str:
    return f"Not a file that torch.save wrote, or a damaged one. Received: path={str(path)!r}"
