"""TFRecord files, read by number; TensorFlow reads them from front to back only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LENGTH, CHECKSUM = 8, 4  # bytes


@dataclass(frozen=True)
class TFRecords(Sequence):
    """The records of some files, one after the other.

    A record is its length (8 bytes, little end first), a checksum of that, its bytes and a
    checksum of these, https://www.tensorflow.org/tutorials/load_data/tfrecord: the lengths
    lead from one to the next. A record is read from a file opened for it, by any number of
    threads.

    Args:
        places: (file, offset of the bytes, their number) of every record; see `places_of`.
    """

    places: Sequence[tuple[Path, int, int]]

    def __len__(self):
        return len(self.places)

    def __getitem__(self, number):
        path, offset, size = self.places[number]
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)


def places_of(path: Path) -> list[tuple[Path, int, int]]:
    """Where the records of a file are; none of them is read.

    Raises:
        ValueError: if the file ends within a record.
    """
    end, size_bytes, places = 0, path.stat().st_size, []
    with open(path, "rb") as file:
        while end < size_bytes:
            file.seek(end)
            length = int.from_bytes(file.read(LENGTH), "little")
            places.append((path, end + LENGTH + CHECKSUM, length))
            end += LENGTH + CHECKSUM + length + CHECKSUM
    if end != size_bytes:
        raise ValueError(f"Not a whole TFRecord file: {str(path)!r}, of {size_bytes} bytes")
    return places
