"""Gates that do the same to every picture, replaced by what they do on average.

Hu et al. (https://arxiv.org/abs/1709.01507, section 6.4): the excitations of the last stage
tend to a saturated state, and leaving its blocks out costs little.
"""

import keras

from ..batches import count
from .fold import Fold
from .found_gates import FoundGate
from .gate_means import GateMean, gate_means
from .prune_report import GateFinding, PruneReport, prune_report
from .remove import take_out


def prune_gates(
    model: keras.Model, images, threshold: float = 0.05, batch_size: int = 32
) -> tuple[keras.Model, PruneReport]:
    """Take out the gates whose values hardly vary over pictures.

    Args:
        model: functional or Sequential Keras model with gates of `keras_se.layers.GATES`,
            also in `ResidualTail` layers and in models inside it. It is not changed.
        images: array (n, h, w, c) as `model.predict` takes it: typical pictures, all classes.
        threshold: float >= 0. Gates with a variation of at most this are replaced by their
            mean by channel, which is folded as in `remove`.
        batch_size: int >= 1, pictures at a time.

    Returns:
        The new model, not compiled, with copies of the weights, and a `PruneReport`.

    Raises:
        ValueError: for a negative threshold, no pictures, a batch size below 1, or a model
            without gates.

    >>> import numpy as np
    >>> from keras_se.applications import SEResNetCIFAR
    >>> images = np.zeros((4, 32, 32, 3), "float32")
    >>> pruned, report = prune_gates(SEResNetCIFAR(8), images)
    >>> report.pruned[0], report.agreement, report.gates[0].into
    ('stage2_block1_tail/gate', 1.0, 'batch normalisation of the tail')
    """
    pictures = count(images)
    if not threshold >= 0 or not pictures:
        raise ValueError(
            f"`threshold` must be at least 0, and there must be pictures. Received: "
            f"threshold={threshold}, {pictures} pictures"
        )
    means = gate_means(model, images, batch_size)
    constants = {
        found: mean.constant
        for found, mean in means.items()
        if mean.constant is not None and not _varies(mean, threshold)
    }
    pruned, folds = take_out(model, constants)
    findings = tuple(
        _finding(found, mean, folds.get(found), threshold) for found, mean in means.items()
    )
    return pruned, prune_report(model, pruned, findings, images, batch_size)


def _varies(mean: GateMean, threshold: float) -> bool:
    return mean.variation is not None and not mean.variation <= threshold  # also when it is NaN


def _finding(found: FoundGate, mean: GateMean, fold: Fold | None, threshold) -> GateFinding:
    into = fold.into if fold else "it varies" if _varies(mean, threshold) else mean.reason or ""
    return GateFinding(
        found.path, type(found.gate).__name__, mean.variation, fold is not None, into
    )
