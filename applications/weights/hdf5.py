"""HDF5 files: opened with a clear error, and what Keras writes into them."""

import contextlib
import re
import zipfile
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import IO

import h5py
import keras

KERAS_WEIGHTS = "model.weights.h5"  # in a .keras archive
CLASSIFIER = re.compile(r"dense(_\d+)?")  # Keras' names for it: layers go by their class


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file, or the one in a .keras archive, for reading.

    Raises:
        ValueError: if it is no such file, or a damaged one.
    """
    try:
        with contextlib.ExitStack() as stack:
            source: Path | IO[bytes] = path
            if path.suffix == ".keras":
                archive = stack.enter_context(zipfile.ZipFile(path))
                source = stack.enter_context(archive.open(KERAS_WEIGHTS))
            yield stack.enter_context(h5py.File(source))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Not a Keras or HDF5 file, or a damaged one ({error}). Received: path={str(path)!r}"
        ) from error


def names_in(group: h5py.Group, attribute: str) -> list[str]:
    """The names in an attribute of a Keras 2 file: [] if there is no such attribute.

    Above the 64,512 bytes that HDF5 lets an attribute have, Keras cuts it up into
    layer_names0, layer_names1 and so on.
    """
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        cut = (f"{attribute}{number}" for number in count())
        chunks = [group.attrs[name] for name in takewhile(group.attrs.__contains__, cut)]
    names = (name for chunk in chunks for name in chunk)
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def check_surplus(path: Path, model: keras.Model) -> None:
    """Refuse a Keras 3 file with arrays that a model has no place for: Keras drops them.

    A classifier is left out of a model without one.

    Raises:
        ValueError: if there are more arrays than weights, or the file cannot be read.
    """
    with open_hdf5(path) as file:
        layers = file.get("layers", {})
        counts = {name: _datasets(layer) for name, layer in layers.items()}
    if all(layer.name != "predictions" for layer in model.layers):
        counts = {name: n for name, n in counts.items() if not CLASSIFIER.fullmatch(name)}
    there, wanted = sum(counts.values()), sum(len(layer.variables) for layer in model.layers)
    if there > wanted:
        raise ValueError(
            f"The file is of another network: it has {there} arrays, and '{model.name}' has "
            f"{wanted} weights. Received: weights={str(path)!r}"
        )


def _datasets(item) -> int:
    """How many datasets an item of a file holds, or 1 for a dataset."""
    if isinstance(item, h5py.Dataset):
        return 1
    return sum(_datasets(inner) for inner in item.values())
