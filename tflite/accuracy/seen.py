"""A tensor of two files, added up picture by picture, so that none need be kept."""

from dataclasses import dataclass, field

import numpy as np

from .scores import ratio_db


@dataclass
class Seen:
    """What the same tensor was in a float file and in another one.

    Sums are float64.

    Attributes:
        count: numbers seen in each file.
        total, signal: sum of the float file's, and of their squares.
        noise: sum of the squared differences; not finite where a number is not.
        smallest, largest: of the float file's.
        channels: largest magnitude of each channel in the float file, (c,).
        finite: whether all of the other file's numbers are.

    >>> tensor = Seen()
    >>> tensor.add(np.array([3.0, 4.0]), np.array([3.0, 3.5]))
    >>> tensor.snr_db, tensor.largest, tensor.channels.tolist()
    (20.0, 4.0, [3.0, 4.0])
    """

    count: int = 0
    total: float = 0.0
    signal: float = 0.0
    noise: float = 0.0
    smallest: float = np.inf
    largest: float = -np.inf
    channels: np.ndarray = field(default_factory=lambda: np.zeros(1))
    finite: bool = True

    def add(self, reference: np.ndarray, value: np.ndarray) -> None:
        """One picture's tensor, (..., c): the float file's, and the other's."""
        exact = reference.astype("float64")
        self.count += exact.size
        self.total += float(exact.sum())
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(exact - value).sum())
        self.smallest = float(np.minimum(self.smallest, exact.min()))  # keeps NaN, unlike `min`
        self.largest = float(np.maximum(self.largest, exact.max()))
        magnitudes = np.abs(exact).max(axis=tuple(range(exact.ndim - 1)))
        self.channels = np.maximum(self.channels, magnitudes)
        self.finite = self.finite and bool(np.isfinite(value).all())

    @property
    def mean(self) -> float:
        """Of the float file's numbers."""
        return self.total / self.count

    @property
    def power(self) -> float:
        """Mean of their squares."""
        return self.signal / self.count

    @property
    def snr_db(self) -> float:
        """Signal-to-noise ratio, as `scores.snr_db`."""
        return ratio_db(self.signal, self.noise)
