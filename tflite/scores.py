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


def top1(outputs: np.ndarray) -> np.ndarray | None:
    """Class of each row, (n,); None unless the outputs are one row of at least two classes."""
    return outputs.argmax(axis=1) if outputs.ndim == 2 and outputs.shape[1] > 1 else None


def share_equal(classes, others) -> float | None:
    """The share of equal classes; None where one of both is unknown."""
    return None if classes is None or others is None else float((classes == others).mean())
