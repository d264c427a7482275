"""What may differ between a checkpoint and a network: the classifier and the input channels."""

import warnings
from collections.abc import Mapping

import keras
import numpy as np

from ...walk import weights_by_path
from .layout import Layout


def adapt(
    model: keras.Model,
    entries: Mapping[str, np.ndarray],
    layout: Layout,
    new_head: bool,
) -> tuple[dict[str, np.ndarray], set[str]]:
    """The entries of a state dict that a model takes.

    Args:
        model: the network.
        entries: PyTorch's keys and arrays.
        layout: gives the keys of the model's weights.
        new_head: whether a classifier for another number of classes may stay as it is.

    Returns:
        The entries, without those of a classifier that the model does not have or
        that is for other classes, and with the stem's kernel for the model's input
        channels; and the keys of the weights that start anew.
    """
    weights = weights_by_path(model)
    shapes = {layout.key(path): tuple(w.shape) for path, w in weights.items()}
    head = {layout.key(f"predictions/{part}") for part in ("kernel", "bias")}
    entries = dict(entries)
    anew = set()
    if head.isdisjoint(shapes):
        entries = {key: array for key, array in entries.items() if key not in head}
    elif new_head and head <= shapes.keys() & entries.keys():
        classes = shapes[layout.key("predictions/bias")][0]
        theirs = {entries[key].shape[0] for key in head if entries[key].ndim}
        if len(theirs) == 1 and theirs != {classes}:
            warnings.warn(
                f"The checkpoint's classifier is for {theirs.pop()} classes: the network keeps "
                f"the checkpoint's trunk and starts a new classifier for {classes}.",
                stacklevel=4,
            )
            entries = {key: array for key, array in entries.items() if key not in head}
            anew = head
    for path in ("stem_conv/kernel", "stem_conv1/kernel"):
        key = layout.key(path)
        if key in shapes and key in entries and entries[key].ndim == 4:
            entries[key] = adapt_channels(entries[key], shapes[key][2])
    return entries, anew


def adapt_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A stem's kernel for another number of input channels: timm's rule.

    Args:
        kernel: (out, 3, h, w); one for other than three channels stays as it is.
        channels: 1 sums the kernels of red, green and blue; n repeats them in turn,
            times 3 / n.

    Returns:
        (out, channels, h, w), float32 if it was changed.
    """
    if kernel.shape[1] != 3 or channels == 3:
        return kernel
    kernel = kernel.astype("float32")
    if channels == 1:
        return kernel.sum(axis=1, keepdims=True)
    repeated = np.tile(kernel, (1, -(-channels // 3), 1, 1))[:, :channels]
    return repeated * np.float32(3 / channels)
