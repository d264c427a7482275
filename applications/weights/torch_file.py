"""Reads what `torch.save` wrote, without PyTorch and without running its pickle.

A pickle can call any function that it names. Here a name means something only if it is
one of `OrderedDict`, a storage type, or one of the functions of PyTorch that make a
tensor of a storage, for which stand-ins of ours take the place. Its opcodes are looked
at before the first one is executed. Both forms are read: the zip archive (PyTorch 1.6
and later) and the stream of pickles of before. Sizes that the file claims are compared
with the file's own size, so that a small file cannot ask for much memory.

Format: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

DTYPES = {
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "HalfStorage": np.dtype("float16"),
    "FloatStorage": np.dtype("float32"),
    "DoubleStorage": np.dtype("float64"),
    "ByteStorage": np.dtype("uint8"),
    "CharStorage": np.dtype("int8"),
    "ShortStorage": np.dtype("int16"),
    "IntStorage": np.dtype("int32"),
    "LongStorage": np.dtype("int64"),
    "BoolStorage": np.dtype("bool"),
}
LEGACY_MAGIC, LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
# Those that pickle protocols 2 to 4 write for containers, numbers and strings; the
# older text forms and the ways to make an object without REDUCE are not among them.
OPCODES = frozenset(
    "PROTO STOP FRAME MEMOIZE MARK POP GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID "
    "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT "
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINUNICODE SHORT_BINUNICODE "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT "
    "SETITEM SETITEMS BINGET LONG_BINGET BINPUT LONG_BINPUT".split()
)


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

        return _unpickle(io.BytesIO(archive.read(pickles[0])), read_storage)


def _read_stream(path):
    """Pickles of magic number, version, machine, the object and the storages' names; then bytes."""
    data = path.read_bytes()
    stream = io.BytesIO(data)
    if not data.startswith(b"\x80") or _unpickle(stream) != LEGACY_MAGIC:
        raise ValueError(_not_ours(path))
    version, machine = _unpickle(stream), _unpickle(stream)
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

    result = _unpickle(stream, promise_storage)
    for key in _unpickle(stream):
        array = storages[key]
        (size,) = np.frombuffer(stream.read(8), f"{order}i8")
        if size != array.size:
            raise ValueError(f"{_not_ours(path)}: storage {key!r} of {size}, not {array.size}")
        array[:] = np.frombuffer(stream.read(array.nbytes), array.dtype)
    return result


def _not_ours(path) -> str:
    return f"Not a file that torch.save wrote, or a damaged one. Received: path={str(path)!r}"


def _unpickle(stream, read_storage: Callable | None = None):
    """The next object in the stream, if nothing else than tensors is in it."""
    start = stream.tell()
    argument: Any  # what it is depends on the operation
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name == "GLOBAL":
            _find(*argument.split(" ", 1))
        if opcode.name not in OPCODES:
            raise pickle.UnpicklingError(f"Refused: the pickle uses {opcode.name}")
        if opcode.name in ("BINPUT", "LONG_BINPUT") and argument > count:
            raise pickle.UnpicklingError("Refused: the pickle's memo has gaps")
    stream.seek(start)
    return _TensorUnpickler(stream, read_storage).load()


def _find(module: str, name: str):
    """What a global name of the pickle stands for here."""
    if (module, name) == ("collections", "OrderedDict"):
        return OrderedDict
    if module == "torch" and name in DTYPES:
        return name
    if module == "torch._utils" and name in REBUILD:
        return REBUILD[name]
    raise pickle.UnpicklingError(
        f"Refused: the file holds a {module}.{name}, and only tensors in plain containers "
        "are read. In PyTorch, save the state dict alone: "
        "torch.save(model.state_dict(), path)"
    )


class _TensorUnpickler(pickle.Unpickler):
    """Makes NumPy arrays of tensors, and nothing of anything else."""

    def __init__(self, stream, read_storage):
        super().__init__(stream, encoding="utf-8")  # strings of Python 2, as PyTorch reads them
        self.read_storage = read_storage
        self.storages = {}

    def find_class(self, module, name):
        return _find(module, name)

    def persistent_load(self, pid):
        kind, storage_type, key, _, size, *view = pid
        if kind != "storage" or self.read_storage is None:
            raise pickle.UnpicklingError(f"Refused: the file refers to a {kind!r}")
        if key not in self.storages:
            self.storages[key] = self.read_storage(key, DTYPES[storage_type], size)
        storage = self.storages[key]
        if storage.size != size or storage.dtype.itemsize != DTYPES[storage_type].itemsize:
            raise ValueError(f"Storage {key!r} has {storage.size} elements, not {size}")
        if view and view[0] is not None:  # PyTorch before 0.4: part of another storage
            _, offset, size = view[0]
            storage = storage[offset : offset + size]
        return storage


class _Rebuild:
    """Stands in for a function of PyTorch; the pickle cannot change it."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("Refused: the pickle sets the state of a function")


def _tensor(storage, offset, shape, strides, *_):
    """A view of the storage, nowhere outside it, and with no element of it twice."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, np.ndarray) or len(shape) != len(strides) or min(numbers) < 0:
        raise ValueError(f"Received: offset={offset}, shape={shape}, strides={strides}")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count > storage.size or (count and last >= storage.size):
        raise ValueError(
            f"A tensor reaches out of its storage of {storage.size} elements. "
            f"Received: offset={offset}, shape={shape}, strides={strides}"
        )
    if not count:
        return np.zeros(shape, storage.dtype)
    byte_strides = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, byte_strides, writeable=False)


REBUILD = {
    "_rebuild_tensor": _Rebuild(_tensor),  # before PyTorch 0.4
    "_rebuild_tensor_v2": _Rebuild(_tensor),
    "_rebuild_parameter": _Rebuild(lambda tensor, *_: tensor),
}
