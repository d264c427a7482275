"""The values of gates on pictures, added up batch by batch."""

import contextlib
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from .gate_values import values
from .remove import FoundGate


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
        batch_size: int, pictures at a time.
    """
    statistics = {found: Statistics(found.channels) for found in gates}
    with _recording(statistics):
        for batch in batches(images, batch_size):
            model(batch, training=False)
    return statistics


def batches(images, size: int):
    """Slices of an array, or of every array in a structure."""
    arrays = keras.tree.map_structure(np.asarray, images)
    count = len(keras.tree.flatten(arrays)[0])
    for start in range(0, count, size):
        yield keras.tree.map_structure(lambda a, s=start: a[s : s + size], arrays)


@contextlib.contextmanager
def _recording(statistics):
    """Let the gates, or the tails around them, note their values until the context ends."""
    hosts = {id(found.host): (found.host, found) for found in statistics}
    for host, found in hosts.values():
        host.call = _recorder(host.call, found, statistics[found])
    try:
        yield
    finally:
        for host, _ in hosts.values():
            del host.call


def _recorder(call, found, statistics):
    def recorded(inputs, *args, **kwargs):
        x = inputs
        if found.tail is not None:
            x = found.tail.gate_input(inputs[0], training=False)
        statistics.add(values(found.gate, x))
        return call(inputs, *args, **kwargs)

    return recorded
