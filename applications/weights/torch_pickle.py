"""The pickles that `torch.save` writes, read without PyTorch and without running them.

A pickle can call any function that it names. Here a name means something only if it is
one of `OrderedDict`, a storage type, or one of the functions of PyTorch that make a
tensor of a storage, for which stand-ins of ours take the place. Its opcodes are looked
at before the first one is executed.
"""

import math
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

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
ReadStorage = Callable[[str, np.dtype, int], np.ndarray]  # of key, dtype and size
# Those that pickle protocols 2 to 4 write for containers, numbers and strings; the
# older text forms and the ways to make an object without REDUCE are not among them.
OPCODES = frozenset(
    "PROTO STOP FRAME MEMOIZE MARK POP GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID "
    "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT "
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINUNICODE SHORT_BINUNICODE "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT "
    "SETITEM SETITEMS BINGET LONG_BINGET BINPUT LONG_BINPUT".split()
)


def unpickle(stream: BinaryIO, read_storage: ReadStorage | None = None):
    """The next object in the stream, if nothing else than tensors is in it.

    Args:
        stream: at the start of a pickle; it is left at its end.
        read_storage: gives the storage of a key, a vector of `size` elements of a dtype, as
            an array that the tensors are views of; None where the pickle may have none.

    Raises:
        pickle.UnpicklingError: for anything but tensors in plain containers, before the
            first opcode is executed where the opcodes tell.
        ValueError: for a tensor that reaches out of its storage, or a storage of another
            size than the pickle claims.
        Exception: nearly any other, where the pickle is damaged.
    """
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
