"""Pruning and clustering by TFMOT."""

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from .rebuild import wrapped


def pruned(model, options, steps):
    """Zeros grow to their share over the first 80 % of the steps."""
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=options["sparsity"],
        begin_step=0,
        end_step=max(1, int(0.8 * steps)),
        frequency=max(1, steps // 20),
    )
    prune = tfmot.sparsity.keras.prune_low_magnitude
    return wrapped(model, lambda layer: prune(layer, schedule) if _tunable(layer) else layer)


def clustered(model, options):
    """Kernels of more than two weights for each value take `clusters` values."""
    api = tfmot.clustering.keras
    start = api.CentroidInitialization.KMEANS_PLUS_PLUS
    count = options["clusters"]
    return wrapped(
        model,
        lambda layer: (
            api.cluster_weights(layer, count, cluster_centroids_init=start)
            if _tunable(layer, 2 * count)
            else layer
        ),
    )


def _tunable(layer, smallest=0):
    kinds = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)
    depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
    if not isinstance(layer, kinds) or depthwise or not layer.trainable:
        return False
    return int(np.prod(layer.kernel.shape)) > smallest
