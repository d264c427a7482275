"""Efficient Channel Attention: Wang, Wu, Zhu, Li, Zuo, Hu, https://arxiv.org/abs/1910.03151."""

import math

import keras

from ..lowering import add_layer
from ._common import check_channels_last, check_feature_map, check_odd, mean
from ._inner import inner_conv
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate


@keras.saving.register_keras_serializable("keras_se")
class EfficientChannelAttention(keras.layers.Layer):
    """Channel gate from each channel's k neighbours, without a bottleneck (equations 5-12).

        z = mean over h, w of x                    z: (b, c)
        s = gate(conv1d_k over the channels of z)  s: (b, 1, 1, c)
        y = s * x
        k = |log2(c) / 2 + 1 / 2| odd              unless `kernel_size` is given

    Args:
        kernel_size: None, or the odd int k.
        gate: name of the gate function; the paper's is "sigmoid".
        kernel_initializer: initializer of the convolution.
        kernel_regularizer: regularizer of the convolution.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for an even kernel size, an unknown gate, an input of another rank or
            with unknown channels, or a channels-first data format.

    >>> tuple(EfficientChannelAttention()(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        kernel_size: int | None = None,
        gate: str = "sigmoid",
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.kernel_size = None if kernel_size is None else check_odd("kernel_size", kernel_size)
        self.gate = check_gate(gate)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        adaptive = int(math.log2(channels) / 2 + 1 / 2)
        size = self.kernel_size or adaptive + 1 - adaptive % 2
        options = {"padding": "same", "use_bias": False}
        self.conv = inner_conv(self, 1, size, "conv", keras.layers.Conv1D, **options)
        self.conv.build((None, channels, 1))

    uses_means = True  # see `MeanGate`

    def excite(self, inputs):
        """Gates of a feature map: (batch, 1, 1, channels)."""
        return self.excite_means(mean(inputs, (1, 2)))

    def excite_means(self, means):
        """Gates (batch, 1, 1, channels) of the spatial means (batch, channels)."""
        logits = self.conv(means[:, :, None])[:, :, 0]  # (b, c)
        return GATE_FUNCTIONS[self.gate].function(logits)[:, None, None, :]

    def call(self, inputs):
        return inputs * self.excite(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """The channels laid out as a column of pixels, for one 2D convolution."""
        channels = inputs.shape[-1]

        def layer(kind, suffix, *args, **kwargs):
            return kind(*args, name=f"{name}_{suffix}", dtype="float32", **kwargs)

        z = layer(keras.layers.GlobalAveragePooling2D, "squeeze", keepdims=True)(inputs)
        z = layer(keras.layers.Reshape, "column", (channels, 1, 1))(z)
        kernel = self.conv.get_weights()[0]  # (k, 1, 1)
        conv = layer(
            keras.layers.Conv2D, "conv", 1, (len(kernel), 1), padding="same", use_bias=False
        )
        z = add_layer(conv, z, [kernel[:, None]])
        z = layer(keras.layers.Reshape, "row", (1, 1, channels))(z)
        gates = lower_gate(self.gate, z, name)
        return keras.layers.Multiply(name=name, dtype="float32")([inputs, gates])

    def get_config(self):
        return super().get_config() | {
            "kernel_size": self.kernel_size,
            "gate": self.gate,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
