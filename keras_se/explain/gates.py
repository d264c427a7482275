"""The values of channel gates, as the SENet paper looks at them (section 6.4, figure 5).

https://arxiv.org/abs/1709.01507
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import keras
import numpy as np
from keras import ops

from ..batches import batches
from ..layers.mean_gate import MeanGate
from ..walk import inner_layers, watching


@runtime_checkable
class ChannelGate(Protocol):
    """A layer that multiplies the channels of a feature map."""

    def excite(self, inputs):
        """Gates of a feature map: (batch, 1, 1, channels)."""
        ...


@dataclass(frozen=True, eq=False)
class ChannelGates:
    """What one gate let through.

    Attributes:
        layer: the layer's path in the model, "stage2_block1_tail/gate".
        stage: stage of the network in the papers' numbering, from the path; None where it
            has none.
        values: float32 array (n, channels), the gates of each image.
    """

    layer: str
    stage: int | None
    values: np.ndarray

    def mean_by_class(self, labels, classes: int) -> np.ndarray:
        """Mean gates of the images of each class: (classes, channels).

        Args:
            labels: integers (n,) in [0, classes).
            classes: int, number of classes. One without images gets NaN.

        Raises:
            ValueError: if there is not one label for each image.
        """
        labels = np.asarray(labels)
        if labels.shape != self.values.shape[:1]:
            raise ValueError(
                f"`labels` must be {len(self.values)} integers, one per image. "
                f"Received: labels of shape {labels.shape}"
            )
        empty = np.full(self.values.shape[1:], np.nan, "float32")
        members = (self.values[labels == label] for label in range(classes))
        return np.stack([part.mean(axis=0) if len(part) else empty for part in members])


def gates(model: keras.Model, images, batch_size: int = 32) -> dict[str, ChannelGates]:
    """Run a model on images and keep what its channel gates let through.

    Every layer with a method `excite(feature_map)` is recorded, wherever it lies: in the
    model itself, in a nested one, or inside another layer such as `ResidualTail` or `CBAM`.
    (A `MeanGate` is recorded at `excite_means`, which `excite` goes through.)
    The model runs eagerly, in inference mode, and is left as it was.

    Args:
        model: any built Keras model with one image input.
        images: array (n, height, width, channels), as `model.predict` takes them.
        batch_size: int >= 1, images in one call of the model.

    Returns:
        {path of the layer: `ChannelGates`} in the order of the calls; empty for a model
        without channel gates. The second call of a shared layer is "path#2".

    Raises:
        ValueError: if `images` is empty or not (n, height, width, channels), or for a
            batch size below 1.

    >>> from keras_se.layers import SqueezeExcite
    >>> model = keras.Sequential([keras.Input((8, 8, 4)), SqueezeExcite(ratio=2, name="se")])
    >>> gates(model, np.ones((5, 8, 8, 4)))["se"].values.shape
    (5, 4)
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "`images` must be an array (n, height, width, channels) with n >= 1. "
            f"Received: shape {images.shape}"
        )
    recorded = [_record(model, batch) for batch in batches(images, batch_size)]
    return {
        name: ChannelGates(
            name, stage_number(name), np.concatenate([part[name] for part in recorded])
        )
        for name in recorded[0]
    }


def _record(model, images) -> dict[str, np.ndarray]:
    """One eager call: {name: gates (n, channels)} in the order of the calls."""
    seen: Counter[str] = Counter()
    values = {}

    def note(path, layer, inputs, gates):  # gates: (b, 1, 1, c)
        seen[path] += 1
        name = path if seen[path] == 1 else f"{path}#{seen[path]}"
        values[name] = ops.convert_to_numpy(ops.cast(gates, "float32")).squeeze((1, 2))

    channel_gates = (
        (path, layer, _method(layer))
        for path, layer in inner_layers(model)
        if isinstance(layer, ChannelGate)
    )
    with watching(channel_gates, note):
        model(images, training=False)
    return values


def _method(layer) -> str:
    """The method that every gate passes through; who knows the means skips `excite`."""
    return "excite_means" if isinstance(layer, MeanGate) else "excite"


def stage_number(path: str) -> int | None:
    """The stage that a path of `keras_se.applications` names; other models name none."""
    found = re.search(r"(?:^|/)stage(\d+)_", path)
    return int(found[1]) if found else None
