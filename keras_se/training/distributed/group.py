"""The processes of a run: which one this is, and what they tell each other."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np


@dataclass(frozen=True)
class Group:
    """This process among those of a run; alone, every method gives back what it is given.

    All processes must call a method that communicates, in the same order.

    Attributes:
        rank: of this process, from 0; rank 0 writes the files.
        world: how many processes there are.

    >>> Group().gather({"lost": 3})
    [{'lost': 3}]
    """

    rank: int = 0
    world: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.rank == 0

    def gather(self, value) -> list:
        """What every process gave, by rank; anything that JSON can hold."""
        if self.world == 1:
            return [value]
        content = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = self.gather_arrays(np.array(content.size, np.int32))
        padded = np.zeros(lengths.max(), np.uint8)
        padded[: content.size] = content
        rows = self.gather_arrays(padded)
        return [
            json.loads(row[:length].tobytes())
            for row, length in zip(rows, lengths.tolist(), strict=True)
        ]

    def gather_arrays(self, array: np.ndarray) -> np.ndarray:
        """Arrays of one shape and at most 32 bits, (...) from each to (world, ...)."""
        if self.world == 1:
            return np.asarray(array)[None]
        from jax.experimental.multihost_utils import process_allgather

        return process_allgather(array)

    def there(self, path: Path) -> bool:
        """Whether rank 0 has a file."""
        return self.gather(path.exists() if self.writes else None)[0]

    def file_of_first(self, path: Path) -> Path | io.BytesIO | None:
        """A file that rank 0 has, for all to read; None if there is no such file."""
        if not self.there(path):
            return None
        return path if self.world == 1 else io.BytesIO(self._content_of_first(path))

    def _content_of_first(self, path: Path) -> bytes:
        from jax.experimental.multihost_utils import broadcast_one_to_all

        content = np.frombuffer(path.read_bytes() if self.writes else b"", np.uint8)
        length = self.gather(content.size)[0]
        return broadcast_one_to_all(
            content if self.writes else np.zeros(length, np.uint8)
        ).tobytes()


def this_group() -> Group:
    """The group of this process: what `join` has made, or a group of one.

    Raises:
        RuntimeError: if JAX knows of other processes, and Keras distributes nothing to them.
    """
    if keras.backend.backend() != "jax":
        return Group()
    import jax

    if jax.process_count() > 1 and keras.distribution.distribution() is None:
        raise RuntimeError(
            "JAX runs in several processes, but no keras.distribution is set. Begin with "
            "keras_se.training.distributed.join(...) in the place of jax.distributed.initialize"
        )
    return Group(jax.process_index(), jax.process_count())
