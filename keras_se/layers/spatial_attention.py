"""The spatial gate of CBAM: Woo, Park, Lee, Kweon, https://arxiv.org/abs/1807.06521.

BatchNorm after the convolution, and the order [max, mean], follow the authors' code,
https://github.com/Jongchan/attention-module.
"""

import keras
from keras import ops

from ._common import check_channels_last, check_feature_map, check_odd, largest, mean
from ._inner import inner_conv, inner_norm
from ._spatial_lowering import lower_spatial_logits
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate


@keras.saving.register_keras_serializable("keras_se")
class SpatialAttention(keras.layers.Layer):
    """Spatial gate from the channels' maximum and mean (equation 3).

        m = gate(BN(conv_kxk([max over c of x, mean over c of x])))   m: (b, h, w, 1)
        y = m * x

    BatchNorm's scale starts at zero, as in the authors' code: the gate starts at 0.5.

    Args:
        kernel_size: odd int, k of the paper.
        gate: name of the gate function; the paper's is "sigmoid".
        epsilon: float, BatchNorm's.
        momentum: float, BatchNorm's.
        kernel_initializer: initializer of the convolution.
        kernel_regularizer: regularizer of the convolution.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).
        training: bool, whether BatchNorm uses and updates batch statistics.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for an even kernel size, an unknown gate, an input of another rank
            or with unknown channels, or a channels-first data format.

    >>> tuple(SpatialAttention()(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        kernel_size: int = 7,
        gate: str = "sigmoid",
        epsilon: float = 1e-5,
        momentum: float = 0.99,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.kernel_size = check_odd("kernel_size", kernel_size)
        self.gate = check_gate(gate)
        self.epsilon = epsilon
        self.momentum = momentum
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        check_feature_map(self, input_shape)
        self.conv = inner_conv(self, 1, self.kernel_size, "conv", padding="same", use_bias=False)
        self.conv.build((*input_shape[:-1], 2))
        self.norm = inner_norm(self, "norm", gamma_initializer="zeros")
        self.norm.build((*input_shape[:-1], 1))

    def attend(self, inputs, training=None):
        """Gates of a feature map: (batch, height, width, 1)."""
        pooled = [largest(inputs, -1, keepdims=True), mean(inputs, -1, keepdims=True)]
        logits = self.norm(self.conv(ops.concatenate(pooled, axis=-1)), training=training)
        return GATE_FUNCTIONS[self.gate].function(logits)

    def call(self, inputs, training=None):
        return inputs * self.attend(inputs, training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """One convolution per pooled map, added: in int8 a concatenation would force the
        maximum's scale on the mean (24 dB instead of 36)."""
        logits = lower_spatial_logits(self.conv, self.norm, inputs, name)
        gates = lower_gate(self.gate, logits, name)
        return keras.layers.Multiply(name=name, dtype="float32")([inputs, gates])

    def get_config(self):
        return super().get_config() | {
            "kernel_size": self.kernel_size,
            "gate": self.gate,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
