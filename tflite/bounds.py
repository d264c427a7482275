"""What a file must keep, and how the recipes that were tried fared."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """How far a file may be from the Keras model; None is no bound.

    Attributes:
        min_snr_db: lowest signal-to-noise ratio, in dB.
        min_agreement: lowest top-1 agreement, in [0, 1].
        max_accuracy_drop: the file's top-1 accuracy may be that much lower, in [0, 1); one
            point of percent is 0.01.

    Raises:
        ValueError: for a bound that is no such number.
    """

    min_snr_db: float | None = None
    min_agreement: float | None = None
    max_accuracy_drop: float | None = None

    def __post_init__(self):
        agreement, drop = self.min_agreement, self.max_accuracy_drop
        if self.min_snr_db is not None and math.isnan(self.min_snr_db):
            raise ValueError("min_snr_db is a number of dB. Received: min_snr_db=nan")
        if agreement is not None and not 0 <= agreement <= 1:
            raise ValueError(
                f"min_agreement is a share in [0, 1]. Received: min_agreement={agreement}"
            )
        if drop is not None and not 0 <= drop < 1:
            raise ValueError(
                "max_accuracy_drop is a share in [0, 1), a point of percent 0.01. "
                f"Received: max_accuracy_drop={drop}"
            )

    def violation(self, comparison) -> str | None:
        """What the file misses, in words; None when it keeps every bound."""
        snr, agreement = comparison.snr_db, comparison.agreement
        if self.min_snr_db is not None and not snr >= self.min_snr_db:
            return f"The file has an SNR of {snr:.1f} dB, below min_snr_db={self.min_snr_db}"
        if self.min_agreement is not None and agreement < self.min_agreement:
            return (
                f"The file's top-1 agreement is {agreement:.4f}, below "
                f"min_agreement={self.min_agreement}"
            )
        if self.max_accuracy_drop is not None:
            drop = comparison.float_accuracy - comparison.file_accuracy
            if drop > self.max_accuracy_drop:
                return (
                    f"The file's top-1 accuracy is {drop:.4f} lower than the Keras model's, more "
                    f"than max_accuracy_drop={self.max_accuracy_drop}"
                )
        return None


@dataclass(frozen=True)
class Choice:
    """One recipe that was tried.

    Attributes:
        recipe: its name.
        latency_ms: median of 25 runs on one thread, all files taking turns; None without file.
        size_bytes, snr_db, agreement, file_accuracy: as in the `Comparison`.
        problem: the bound that it misses, or why there is no file; None when it is eligible.
        chosen: whether it is the one.
    """

    recipe: str
    latency_ms: float | None = None
    size_bytes: int | None = None
    snr_db: float | None = None
    agreement: float | None = None
    file_accuracy: float | None = None
    problem: str | None = None
    chosen: bool = False

    def __str__(self) -> str:
        mark = "*" if self.chosen else " "
        if self.latency_ms is None:
            return f"{mark} {self.recipe:<13} {self.problem}"
        agreement = "" if self.agreement is None else f"{self.agreement:8.2%}"
        accuracy = "" if self.file_accuracy is None else f" accuracy {self.file_accuracy:.2%}"
        return (
            f"{mark} {self.recipe:<13} {self.latency_ms:8.3f} ms {self.size_bytes:>11} bytes "
            f"{self.snr_db:6.1f} dB {agreement}{accuracy}  {self.problem or ''}".rstrip()
        )
