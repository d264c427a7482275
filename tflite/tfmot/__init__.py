"""Pruning and clustering by TensorFlow Model Optimization, for Keras 3 models.

Both make a file that compresses better, not one that runs faster.
"""

import gzip
from typing import SupportsBytes

import keras

from ..inputs.normalisation import Normalisation
from .bridge import tune
from .tuning import Tuned, Tuning

__all__ = ["Tuned", "Tuning", "cluster", "compressed_size_bytes", "prune"]


def prune(
    model: keras.Model,
    tuning: Tuning,
    sparsity: float = 0.5,
    *,
    preprocess: Normalisation = None,
    input_size: int | tuple[int, int] | None = None,
) -> Tuned:
    """Set the smallest weights to zero while training on.

    Kernels of convolutions and dense layers, depthwise ones and constants excepted. The share
    of zeros grows over the first 80 % of the steps (Zhu, Gupta, https://arxiv.org/abs/1710.01878).

    Args:
        model: functional or Sequential, one image input and one row of classes as output.
        tuning: pictures, labels, and how to train.
        sparsity: share of zeros in [0, 1) in each kernel.
        preprocess: when given, it becomes the first layer; images are raw pixels. "included"
            says that the model normalises them itself.
        input_size: height and width in pixels, for a model that leaves them open.

    Returns:
        A `Tuned`: convert its model and see `compressed_size_bytes`.

    Raises:
        ImportError: without the extra `tfmot`.
        TypeError, ValueError: for a model, images, labels or a sparsity that do not fit; before
            any training.
        RuntimeError: when the child process fails, with its message.
    """
    if isinstance(sparsity, bool) or not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is a share in [0, 1). Received: sparsity={sparsity!r}")
    return tune(model, "prune", tuning, {"sparsity": float(sparsity)}, preprocess, input_size)


def cluster(
    model: keras.Model,
    tuning: Tuning,
    clusters: int = 16,
    *,
    preprocess: Normalisation = None,
    input_size: int | tuple[int, int] | None = None,
) -> Tuned:
    """Let the weights of each kernel take `clusters` values, and train those.

    Kernels of at most 2 `clusters` weights are left alone, and so are depthwise ones and
    constants (Han, Mao, Dally, https://arxiv.org/abs/1510.00149, section 3).

    Args:
        model: functional or Sequential, one image input and one row of classes as output.
        tuning: pictures, labels, and how to train.
        clusters: int, at least 2, values in each kernel.
        preprocess: when given, it becomes the first layer; images are raw pixels. "included"
            says that the model normalises them itself.
        input_size: height and width in pixels, for a model that leaves them open.

    Returns:
        A `Tuned`: convert its model and see `compressed_size_bytes`.

    Raises:
        ImportError, TypeError, ValueError, RuntimeError: as for `prune`.
    """
    if isinstance(clusters, bool) or not isinstance(clusters, int) or clusters < 2:
        raise ValueError(f"clusters is a whole number from 2. Received: clusters={clusters!r}")
    return tune(model, "cluster", tuning, {"clusters": clusters}, preprocess, input_size)


def compressed_size_bytes(content: SupportsBytes) -> int:
    """Size in bytes of a file, or of a `Result`, packed by gzip as an app's package packs it.

    >>> compressed_size_bytes(bytes(10_000)) < 100
    True
    """
    return len(gzip.compress(bytes(content), 9, mtime=0))
