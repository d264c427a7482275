"""Rounds a tensor as an int8 file stores it, and trains: backwards it is the identity.

Jacob et al., https://arxiv.org/abs/1712.05877, section 3.
"""

import keras
from keras import ops

# A narrower range would give a scale that integer kernels refuse.
_NARROWEST = 1e-6


@keras.saving.register_keras_serializable("keras_se")
class FakeQuant(keras.layers.Layer):
    """Round to the 256 values of an int8 tensor with the range [low, high].

        s = (high - low) / 255,   y = s round((clip(x, low, high) - low) / s) + low

    with `low` moved so that zero is one of the values. Backwards the gradient passes inside
    the range. A learnt range follows the minimum and the maximum of the training batches: their
    mean over the first 1 / (1 - momentum) batches, then a moving average. `trainable = False`
    stops it.

    Tensors that an int8 file must store with one range (the inputs of a concatenation) share
    one layer, called with `source` 0, 1, ...: the range is the union of what they need.

    Args:
        low, high: the range, where it is fixed; None learns it.
        sources: int, number of tensors that share the range.
        clips: bool, whether the fixed range stands for a ReLU that clips at `high`.
        momentum: float in [0, 1), of the moving average.

    Call arguments:
        inputs: tensor of any shape.
        source: int, which of the `sources` this is.
        training: bool, whether to update the range.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: for a range of which one end is missing or that does not hold zero.

    >>> [float(v) for v in FakeQuant(low=0.0, high=255.0)(keras.ops.array([-3.0, 7.4, 300.0]))]
    [0.0, 7.0, 255.0]
    """

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        sources: int = 1,
        momentum: float = 0.99,
        clips: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if (low is None) != (high is None) or (
            low is not None and high is not None and not low <= 0 < high
        ):
            raise ValueError(
                f"A fixed range has both ends and holds zero. Received: low={low!r}, high={high!r}"
            )
        self.low = low
        self.high = high
        self.sources = sources
        self.momentum = momentum
        self.clips = clips
        self.observing = False  # set while ranges are calibrated

    @property
    def learns(self) -> bool:
        """Whether the range is learnt."""
        return self.low is None

    def build(self, input_shape):
        if self.learns:
            self.ranges = self.add_weight(
                shape=(self.sources, 2), initializer="zeros", trainable=False, name="ranges"
            )
            self.batches = self.add_weight(
                shape=(self.sources,), initializer="zeros", trainable=False, name="batches"
            )

    def bounds(self):
        """The range, which holds zero: a pair of scalars."""
        if not self.learns:
            return self.low, self.high
        low = ops.minimum(ops.min(self.ranges[:, 0]), 0.0)
        high = ops.maximum(ops.max(self.ranges[:, 1]), 0.0)
        return low, ops.maximum(high, low + _NARROWEST)

    def call(self, inputs, source=0, training=None):
        if self.learns and (self.observing or (training and self.trainable)):
            self._observe(inputs, source)
        low, high = self.bounds()
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, low, high, num_bits=8)

    def _observe(self, inputs, source):
        x = ops.stop_gradient(inputs)
        seen = ops.cast(ops.stack([ops.min(x), ops.max(x)]), self.ranges.dtype)
        mine = ops.arange(self.sources) == source
        slowest = 0.0 if self.observing else 1.0 - self.momentum  # of pictures, the mean of all
        rate = ops.maximum(slowest, 1.0 / (self.batches + 1.0))
        rate = ops.where(mine, rate, 0.0)[:, None]
        self.ranges.assign(self.ranges + rate * (seen - self.ranges))
        self.batches.assign(self.batches + ops.cast(mine, self.batches.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {
            "low": self.low,
            "high": self.high,
            "sources": self.sources,
            "momentum": self.momentum,
            "clips": self.clips,
        }
