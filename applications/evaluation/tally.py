"""Right answers counted batch by batch, in a file where the count is to go on another time."""

import json
import os
from pathlib import Path

import numpy as np

from ...files import replacing

COUNTS = ("images", "top1", "top5")


class Tally:
    """Pictures so far, and how many of them are right at once or in five.

    Args:
        path: file that keeps the count after each batch; None keeps it in memory only. One
            that exists is gone on with.
        key: what is counted, for JSON; a file of something else is refused.

    Raises:
        ValueError: if the file is not of this count.
    """

    def __init__(self, path: str | os.PathLike | None, key: dict):
        self.path = None if path is None else Path(path)
        self.key = key
        self.images = self.top1 = self.top5 = 0
        if self.path is not None and self.path.exists():
            self.images, self.top1, self.top5 = _read(self.path, key)

    def add(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Count a batch.

        Args:
            scores: (n, classes), the highest for the likeliest class.
            labels: integers (n,), the classes.

        Raises:
            ValueError: for scores that are not finite.
        """
        if not np.isfinite(scores).all():
            raise ValueError("The network's scores are not finite numbers")
        best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        hits = best == labels[:, None]
        self.images += len(labels)
        self.top1 += int(hits[:, 0].sum())
        self.top5 += int(hits.sum())
        if self.path is not None:
            counts = {name: getattr(self, name) for name in COUNTS}
            with replacing(self.path) as new:
                new.write_text(json.dumps(counts | {"key": self.key}))


def _read(path: Path, key: dict) -> tuple[int, ...]:
    """The counts in a file, if they are of `key`."""
    try:
        kept = json.loads(path.read_text())
    except ValueError:  # no JSON, or no text
        kept = None
    if not isinstance(kept, dict) or kept.get("key") != key:
        raise ValueError(
            "The file is not of this evaluation; remove it or name another one. "
            f"Received: state={str(path)!r}"
        )
    return tuple(kept[name] for name in COUNTS)
