"""Checkpoint files of every kind, as one thing: {key: NumPy array} in PyTorch's layout."""

from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import safetensors

from .hdf5 import open_hdf5
from .torch_file import read_torch_file

SAFETENSORS_DTYPES = {
    "BF16": ml_dtypes.bfloat16,
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "U8": "u1",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "BOOL": "?",
}
WRAPPERS = ("state_dict", "model", "model_state_dict")  # of a training script's checkpoint

PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile, in either order


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Read the state dict in a .safetensors, .pth, .pt, .bin or .h5 file.

    A training script's wrapping ("state_dict", "model") and the prefixes "module." of
    PyTorch's DataParallel and "_orig_mod." of its `torch.compile` are taken off.

    Raises:
        ValueError: if the file's kind is unknown or what it holds is no state dict.
        pickle.UnpicklingError: if a PyTorch file holds more than tensors.
    """
    readers: dict[str, Callable] = {
        ".safetensors": _read_safetensors,
        ".h5": _read_hdf5,
        ".pth": read_torch_file,
        ".pt": read_torch_file,
        ".bin": read_torch_file,
        ".tar": read_torch_file,  # what PyTorch's own examples call a checkpoint: .pth.tar
    }
    if path.suffix not in readers:
        raise ValueError(
            f"Expected a file that ends in one of {list(readers)}. Received: path={str(path)!r}"
        )
    return _unwrap(readers[path.suffix](path), path)


def _unwrap(content, path) -> dict[str, np.ndarray]:
    wrapper = next((key for key in WRAPPERS if isinstance(content, Mapping) and key in content), "")
    if wrapper and isinstance(content[wrapper], Mapping):
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(
            f"Expected a state dict, {{key: tensor}}. Received: a {type(content).__name__} "
            f"in {str(path)!r}"
        )
    others = [key for key, value in content.items() if not isinstance(value, np.ndarray)]
    if others:
        raise ValueError(
            f"Expected a state dict, {{key: tensor}}. Received: {str(path)!r} with other entries: "
            f"{others[:10]}"
        )
    while any(all(key.startswith(prefix) for key in content) for prefix in PREFIXES):
        content = {key.partition(".")[2]: value for key, value in content.items()}
    return dict(content)


def _read_safetensors(path) -> dict[str, np.ndarray]:
    try:
        entries = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"Not a safetensors file, or a damaged one ({error}). Received: path={str(path)!r}"
        ) from error
    arrays = {}
    for key, entry in entries:
        if entry["dtype"] not in SAFETENSORS_DTYPES:
            raise ValueError(f"Cannot read dtype {entry['dtype']}. Received: {key!r} in {path}")
        dtype = np.dtype(SAFETENSORS_DTYPES[entry["dtype"]])
        arrays[key] = np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
    return arrays


def _read_hdf5(path) -> dict[str, np.ndarray]:
    """A state dict as HDF5: one dataset for each key, at the top."""
    with open_hdf5(path) as file:
        if not all(isinstance(entry, h5py.Dataset) for entry in file.values()):
            raise ValueError(
                "A Keras file names no keys of a state dict. For qubvel's use an architecture "
                "that starts with 'qubvel_'; one of this library's goes into the constructor, as "
                f"`weights`. Received: path={str(path)!r}"
            )
        return {key: entry[()] for key, entry in file.items()}
