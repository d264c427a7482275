"""Layers whose kernels are int8, for quantized models: `canonical` took their activations off."""

import keras
import numpy as np
from keras import ops

from ...layers.grouped_conv import GroupedConv2D
from ...lowering import add_layer
from .rounding import fake_quantize_kernel


class _RoundedKernel:
    """A convolution whose kernel is rounded to int8, a range for each output channel."""

    def convolution_op(self, inputs, kernel):
        return self.plain_convolution(inputs, fake_quantize_kernel(kernel, per_channel=True))

    def plain_convolution(self, inputs, kernel):
        """With a kernel that is rounded already."""
        return super().convolution_op(inputs, kernel)  # type: ignore[misc]


@keras.saving.register_keras_serializable("keras_se")
class QuantizedConv2D(_RoundedKernel, GroupedConv2D):
    """`keras.layers.Conv2D` with an int8 kernel, a range for each output channel.

    Arguments, weights and Raises are those of `GroupedConv2D`, whose grouped form trains fast
    on a CPU.
    """

    def lower(self, inputs, name):
        """One convolution, as the converter wants it."""
        config = self.get_config() | {"name": name}
        return add_layer(DeployedConv2D.from_config(config), inputs, self.get_weights())


@keras.saving.register_keras_serializable("keras_se")
class DeployedConv2D(_RoundedKernel, keras.layers.Conv2D):
    """`QuantizedConv2D` for conversion: grouped natively, which converts to one operator."""


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


@keras.saving.register_keras_serializable("keras_se")
class QuantizedRescaling(keras.layers.Rescaling):
    """`keras.layers.Rescaling` with an int8 factor for each position, and no offset.

    The factors are in [0, max] and rounded to 256 values of that range. So the converter rounds
    them by itself too, where it takes equal factors of several layers for one constant and
    forgets their range.
    """

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(scale, offset, **kwargs)
        self.largest = float(np.max(scale))
        self.step = np.float32(self.largest / 255)
        self.whole = np.round(np.asarray(scale, "float32") / self.step)  # less the zero point

    def call(self, inputs):
        factors = ops.convert_to_tensor(self.whole * self.step)
        return inputs * keras.quantizers.fake_quant_with_min_max_vars(
            factors, 0.0, self.largest, num_bits=8
        )


def sums_of(layer, inputs, kernel):
    """What a quantized layer sums up, without its bias.

    Args:
        layer: one of this file.
        inputs: (b, h, w, c), or (b, c) for a dense layer.
        kernel: of the shape of the layer's own, rounded.
    """
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
