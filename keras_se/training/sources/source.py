"""Labelled pictures that are read one by one, by number."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..pictures import set_aside


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled pictures that are read when they are asked for.

    Attributes:
        read: number -> uint8 array (height, width, 3); raises ValueError where it cannot.
        labels: integers (n,), indices into `class_names`.
        class_names: tuple of str.
        name: number -> what to call the picture in a message.
        identity: number -> what tells the picture from others; None takes the name.
        unreadable: name -> why, of the pictures that were met and skipped so far.
    """

    read: Callable[[int], np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...]
    name: Callable[[int], str]
    identity: Callable[[int], str] | None = None
    unreadable: dict[str, str] = field(default_factory=dict)

    def __len__(self):
        return len(self.labels)

    def read_or_note(self, number: int) -> np.ndarray | None:
        """The picture, or None after it has been noted as unreadable."""
        if self.name(number) in self.unreadable:
            return None
        try:
            return self.read(number)
        except ValueError as error:
            self.unreadable[self.name(number)] = " ".join(str(error).split())
            return None

    def read_or_next(self, number: int) -> tuple[np.ndarray, int]:
        """The picture, or in the place of an unreadable one the next that is not; its number."""
        for candidate in range(number, number + len(self)):
            picture = self.read_or_note(candidate % len(self))
            if picture is not None:
                return picture, candidate % len(self)
        reason = next(iter(self.unreadable.values()))
        raise ValueError(f"None of the {len(self)} pictures can be read. The first: {reason}")

    def digest(self) -> str:
        """Tells other pictures or labels, by their identities and number."""
        digest = hashlib.sha256(repr(self.class_names).encode() + self.labels.tobytes())
        identity = self.identity or self.name
        for number in range(len(self)):
            digest.update(identity(number).encode(errors="surrogatepass"))
        return digest.hexdigest()

    def part(self, numbers: np.ndarray) -> "Source":
        """The pictures of these numbers."""
        identity = self.identity
        return Source(
            read=lambda number: self.read(numbers[number]),
            labels=self.labels[numbers],
            class_names=self.class_names,
            name=lambda number: self.name(numbers[number]),
            identity=identity and (lambda number: identity(numbers[number])),
        )

    def split(self, validation: float, seed: int) -> tuple["Source", "Source"]:
        """Set a part of every class aside, for validation: what is left, and that part."""
        aside = set_aside(self.labels, self.class_names, validation, seed)
        return self.part(np.flatnonzero(~aside)), self.part(np.flatnonzero(aside))
