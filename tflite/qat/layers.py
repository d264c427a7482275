"""Layers that compute as an int8 file will, and train: rounding is the identity backwards.

Jacob et al., https://arxiv.org/abs/1712.05877, section 3.
"""

import keras
from keras import ops

from ...layers.grouped_conv import GroupedConv2D
from ...lowering import add_layer

# A narrower range would give a scale that integer kernels refuse.
_NARROWEST = 1e-6
# A channel this much smaller than the largest one counts as zeros (a padded shortcut has
# some) and gets the largest one's range: its own would overflow the 32 bits of its bias.
SMALLEST_CHANNEL = 1e-5


def fake_quantize_kernel(kernel, per_channel: bool):
    """Round a kernel to 255 values in [-m, m], m = max |kernel|, of each channel or of all.

    Args:
        kernel: (..., channels).
        per_channel: whether every channel of the last axis has its own m.
    """
    bound = kernel_bounds(kernel, per_channel)
    return keras.quantizers.fake_quant_with_min_max_vars(
        kernel, -bound, bound, num_bits=8, narrow_range=True, axis=-1 if per_channel else None
    )


def kernel_bounds(kernel, per_channel: bool):
    """What 127 means in an int8 kernel (..., channels): of each channel, or of all."""
    magnitude = ops.abs(ops.stop_gradient(kernel))
    bound = largest = ops.max(magnitude)
    if per_channel:
        bound = ops.max(magnitude, axis=tuple(range(len(kernel.shape) - 1)))
        bound = ops.where(bound > SMALLEST_CHANNEL * largest, bound, largest)
    return ops.where(bound > 0, bound, 1.0)


def sums_of(layer, inputs, kernel):
    """What a quantized layer sums up with an int8 kernel, without its bias."""
    if isinstance(layer, keras.layers.Dense):
        return ops.matmul(inputs, kernel)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return ops.depthwise_conv(
            inputs,
            kernel,
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
        )
    return layer.plain_convolution(inputs, kernel)


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
        rate = ops.maximum(1.0 - self.momentum, 1.0 / (self.batches + 1.0))
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


@keras.saving.register_keras_serializable("keras_se")
class QuantizedConv2D(GroupedConv2D):
    """`keras.layers.Conv2D` with an int8 kernel, a range for each output channel.

    Arguments, weights and Raises are those of `GroupedConv2D`, whose grouped form trains fast
    on a CPU.
    """

    def convolution_op(self, inputs, kernel):
        return self.plain_convolution(inputs, fake_quantize_kernel(kernel, per_channel=True))

    def plain_convolution(self, inputs, kernel):
        """With a kernel that is rounded already."""
        return super().convolution_op(inputs, kernel)

    def lower(self, inputs, name):
        """One convolution, as the converter wants it."""
        config = self.get_config() | {"name": name}
        return add_layer(DeployedConv2D.from_config(config), inputs, self.get_weights())


@keras.saving.register_keras_serializable("keras_se")
class DeployedConv2D(keras.layers.Conv2D):
    """`QuantizedConv2D` for conversion: grouped natively, which converts to one operator."""

    def convolution_op(self, inputs, kernel):
        return self.plain_convolution(inputs, fake_quantize_kernel(kernel, per_channel=True))

    def plain_convolution(self, inputs, kernel):
        """With a kernel that is rounded already."""
        return super().convolution_op(inputs, kernel)


@keras.saving.register_keras_serializable("keras_se")
class QuantizedDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with an int8 kernel, a range for each output channel."""

    def call(self, inputs):
        shape = self.kernel.shape  # (h, w, c, m)
        kernel = ops.reshape(self.kernel, (*shape[:2], shape[2] * shape[3]))
        rounded = ops.reshape(fake_quantize_kernel(kernel, per_channel=True), shape)
        outputs = sums_of(self, inputs, rounded)
        return outputs + self.bias if self.use_bias else outputs


@keras.saving.register_keras_serializable("keras_se")
class QuantizedDense(keras.layers.Dense):
    """`keras.layers.Dense` with an int8 kernel of one range.

    The converter refuses a range for each unit behind the transposition that it adds.
    """

    def call(self, inputs, training=None):
        outputs = sums_of(self, inputs, fake_quantize_kernel(self.kernel, per_channel=False))
        return outputs + self.bias if self.use_bias else outputs
