"""The int8 kernel of a quantized convolution, with the BatchNorm behind it folded in."""

from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from .rounding import SMALLEST_CHANNEL, kernel_bounds


@dataclass(frozen=True)
class Kernel:
    """Kernel and bias as an int8 file has them.

    BatchNorm scales whole output channels: folding it changes what a step means, not the
    integers. What is computed once for each channel is computed in float64, so that every
    compiler gives the same float32.

    Attributes:
        whole: in [-127, 127], float32, of the layer's shape, without the signs of a folded
            BatchNorm.
        signs: 1 or -1 of each output channel; 0 of one that is zero.
        bounds: what 127 means, of each output channel or of all, float32.
        bias: float64, (c,); None where there is none.
        last_axes: how many axes of the kernel count the output channels.
    """

    whole: Any
    signs: Any
    bounds: Any
    bias: Any
    last_axes: int

    @classmethod
    def of(cls, layer) -> "Kernel":
        """Of a quantized layer."""
        kernel = ops.convert_to_tensor(layer.kernel)
        shape = tuple(kernel.shape)
        last_axes = 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 1
        kernel = ops.reshape(kernel, (*shape[: len(shape) - last_axes], -1))
        bounds = kernel_bounds(kernel, per_channel=not isinstance(layer, keras.layers.Dense))
        # Not kernel / (bounds / 127): TensorFlow's graph optimiser divides by a constant through
        # its reciprocal, and a weight on the border of two steps falls to the other side.
        whole = ops.clip(ops.round(kernel * 127 / bounds), -127, 127)
        used = ops.max(ops.abs(whole), axis=tuple(range(len(whole.shape) - 1))) > 0
        bias = as_double(layer.bias) if layer.use_bias else None
        return cls(ops.reshape(whole, shape), ops.cast(used, "float32"), bounds, bias, last_axes)

    def folded(self, norm: keras.layers.BatchNormalization) -> "Kernel":
        """With the BatchNorm behind it, in inference."""
        factor = 1 / ops.sqrt(as_double(norm.moving_variance) + norm.epsilon)
        if norm.scale:
            factor = factor * as_double(norm.gamma)
        bias = (0.0 if self.bias is None else self.bias) - as_double(norm.moving_mean)
        bias = bias * factor + (as_double(norm.beta) if norm.center else 0.0)
        bounds = ops.cast(as_double(self.bounds) * ops.abs(factor), "float32")
        # A gamma of zero would be a scale of zero.
        largest = ops.max(self.signs * bounds)
        used = self.signs * bounds > SMALLEST_CHANNEL * largest
        return replace(
            self,
            signs=ops.where(used, ops.cast(ops.sign(factor), "float32"), 0.0),
            bounds=ops.where(used, bounds, ops.where(largest > 0, largest, 1.0)),
            bias=bias,
        )

    @property
    def step(self):
        """What one of `whole` means, as the converter computes it from a range."""
        return ops.cast(as_double(self.bounds) / 127, "float32")

    def whole_bias(self, input_step):
        """The bias in steps of the sums, float64; None where there is none."""
        if self.bias is None:
            return None
        return ops.round(self.bias / (as_double(input_step) * as_double(self.step)))

    def weights(self, input_step) -> list:
        """Kernel and bias in float32, from which the converter gets the same integers."""
        shape = self.whole.shape  # a depthwise kernel's is (h, w, c, m)
        whole = ops.reshape(self.whole, (*shape[: len(shape) - self.last_axes], -1)) * self.signs
        exact = ops.where(ops.abs(whole) == 127, ops.sign(whole) * self.bounds, whole * self.step)
        kernel = ops.reshape(exact, shape)
        if self.bias is None:
            return [kernel]
        steps = as_double(input_step) * as_double(self.step)
        return [kernel, ops.cast(self.whole_bias(input_step) * steps, "float32")]


def as_double(x):
    """A tensor in float64."""
    return ops.cast(x, "float64")
