"""The values of gates on pictures, added up batch by batch."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from ..batches import batches
from ..walk import watching
from .found_gates import FoundGate
from .gate_values import values


class Statistics:
    """Sums of a gate's values over pictures and pixels, channel by channel, in float64."""

    def __init__(self, channels: int):
        self.count = 0
        self.sum = np.zeros(channels)
        self.squares = np.zeros(channels)

    def add(self, gates) -> None:
        """Add gates (b, h or 1, w or 1, c or 1)."""
        flat = ops.convert_to_numpy(gates).astype("float64").reshape(-1, gates.shape[-1])
        self.count += len(flat)
        self.sum += flat.sum(axis=0)
        self.squares += np.square(flat).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        """Mean by channel: float32 (c,)."""
        return (self.sum / self.count).astype("float32")

    @property
    def variation(self) -> float:
        """Standard deviation over pictures and pixels, relative to the gate's size.

        Both are root mean squares over the channels.
        """
        mean = self.sum / self.count
        variance = np.maximum(self.squares / self.count - np.square(mean), 0)
        return float(np.sqrt(variance.mean() / max(np.square(mean).mean(), 1e-12)))


def record(
    model: keras.Model, gates: Sequence[FoundGate], images, batch_size: int
) -> dict[FoundGate, Statistics]:
    """Run a model eagerly on pictures and measure its gates.

    Args:
        model: any built model.
        gates: gates of it that multiply (see `gate_values.values`).
        images: array (n, h, w, c), or what the model takes: a list or dict of arrays.
        batch_size: int >= 1, pictures at a time.

    Raises:
        ValueError: for a batch size below 1.
    """
    statistics = {found: Statistics(found.channels) for found in gates}
    by_host = {id(found.host): found for found in gates}

    def note(path, host, inputs, outputs):
        found = by_host[id(host)]
        if found.tail is not None:
            inputs = found.tail.gate_input(inputs[0], training=False)
        statistics[found].add(values(found.gate, inputs))

    with watching(((found.path, found.host, "call") for found in gates), note):
        for batch in batches(images, batch_size):
            model(batch, training=False)
    return statistics
