"""How near the outputs of two networks are."""

import math

import numpy as np


def snr_db(reference: np.ndarray, values: np.ndarray) -> float:
    """Signal-to-noise ratio, 10 log10(sum ref^2 / sum (ref - values)^2), in dB.

    Infinite when they are equal; minus infinity when a value is not finite, or the reference zero.

    >>> snr_db(np.array([3.0, 4.0]), np.array([3.0, 3.5]))
    20.0
    """
    reference = np.asarray(reference, "float64")
    return ratio_db(np.square(reference).sum(), np.square(reference - values).sum())


def ratio_db(signal: float, noise: float) -> float:
    """10 log10(signal / noise) of two powers, in dB; infinite or minus infinity as `snr_db`.

    >>> ratio_db(25, 0.25)
    20.0
    """
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 and noise < math.inf else -math.inf


def class_rows(outputs: np.ndarray, sigmoid: bool = False) -> np.ndarray | None:
    """A row of scores of at least two classes for each image; None where there are no classes.

    Args:
        outputs: (n, ...).
        sigmoid: whether they end in a sigmoid: one output is then the score of the second class.

    >>> class_rows(np.array([[0.25]]), sigmoid=True)
    array([[0.75, 0.25]])
    """
    if sigmoid and outputs.ndim == 2 and outputs.shape[1] == 1:
        return np.hstack([1 - outputs, outputs])
    return outputs if outputs.ndim == 2 and outputs.shape[1] > 1 else None


def top1(rows: np.ndarray | None) -> np.ndarray | None:
    """Class of each of `class_rows`, (n,); None without."""
    return None if rows is None else rows.argmax(axis=1)


def share_equal(classes, others) -> float | None:
    """The share of equal classes; None where one of both is unknown."""
    return None if classes is None or others is None else float((classes == others).mean())
