"""Ranges for activations that are zero on every picture.

Weight decay shrinks what lies behind a dead activation without end, and with the weights their
steps; the bias there is counted in those steps times the activation's.
"""

import numpy as np

from .rebuild import weights_by_name

_SMALLEST = 1e-3  # range of an activation: with steps of 1e-9 no kernel runs
_LARGEST_BIAS = 2**30  # steps: half of what 32 bits hold


def widen(model):
    """Give dead activations a range in which every bias fits; any range will do for zeros."""
    for layer in model.layers:
        ends = weights_by_name(layer)
        for name, low in ends.items():
            high = ends.get(f"{name.removesuffix('_min')}_max")
            if name.endswith("_min") and "kernel" not in name and high - low < _SMALLEST:
                readers = [node.outbound_layer for node in layer.outbound_nodes]
                high.assign(low + max([_SMALLEST, *map(_range_for_bias, readers)]))


def _range_for_bias(layer) -> float:
    """The narrowest range of a layer's input in whose steps its bias fits into 32 bits."""
    weights = weights_by_name(layer)
    kernel = weights.get("kernel", weights.get("depthwise_kernel"))
    if kernel is None:
        return 0.0
    kernel = np.abs(kernel.numpy())
    summed = kernel.ndim - (2 if "depthwise_kernel" in weights else 1)
    largest = kernel.max(axis=tuple(range(summed))).ravel()  # of each channel
    bias = weights["bias"].numpy() if "bias" in weights else np.zeros_like(largest)
    for node in layer.outbound_nodes:
        follower = node.outbound_layer
        norm = {name: weight.numpy() for name, weight in weights_by_name(follower).items()}
        if "moving_variance" in norm:  # folded into the kernel
            factor = norm.get("gamma", 1.0)
            factor = factor / np.sqrt(norm["moving_variance"] + follower.layer.epsilon)
            largest = largest * np.abs(factor)
            bias = (bias - norm["moving_mean"]) * factor + norm.get("beta", 0.0)
    steps = 127 * np.abs(bias[largest > 0]) / largest[largest > 0]
    return float(255 * steps.max(initial=0.0) / _LARGEST_BIAS)
