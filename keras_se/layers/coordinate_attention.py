"""Coordinate Attention: Hou, Zhou, Feng, https://arxiv.org/abs/2103.02907.

The width max(8, c / r) and the biases of the last two layers follow
https://github.com/houqb/CoordAttention.
"""

import keras
import numpy as np
from keras import ops

from ..lowering import add_layer, lower_layer
from ._common import check_channels_last, check_count, check_feature_map, mean
from ._inner import inner_conv, inner_norm
from ._pointwise import pointwise
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate


@keras.saving.register_keras_serializable("keras_se")
class CoordinateAttention(keras.layers.Layer):
    """One gate for each row and one for each column, by channel (equations 4-9).

        zh = mean over w of x, zw = mean over h of x  zh: (b, h, 1, c), zw: (b, 1, w, c)
        fh, fw = split(act(BN(W1 [zh, zw])))          W1: (c, d), d = max(8, c / r)
        gh = gate(Wh fh + bh), gw = gate(Ww fw + bw)  Wh, Ww: (d, c)
        y = x * gh * gw

    Args:
        ratio: int, r of the paper; may exceed the number of channels.
        min_width: int. The reduced width d is at least this.
        activation: activation of the reduced width; the paper's is h-swish.
        gate: name of the gate function; the paper's is "sigmoid".
        epsilon: float, BatchNorm's.
        momentum: float, BatchNorm's.
        kernel_initializer: initializer of the three layers.
        kernel_regularizer: regularizer of the three layers.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.
        training: bool, whether BatchNorm uses and updates batch statistics.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for ratio < 1 or min_width < 1, an unknown gate, an input of another
            rank or with unknown channels, or a channels-first data format.

    >>> tuple(CoordinateAttention()(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 32,
        min_width: int = 8,
        activation="hard_swish",
        gate: str = "sigmoid",
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.ratio = check_count("ratio", ratio)
        self.min_width = check_count("min_width", min_width)
        self.activation = keras.activations.get(activation)
        self.gate = check_gate(gate)
        self.epsilon = epsilon
        self.momentum = momentum
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        width = max(self.min_width, channels // self.ratio)
        self.reduce = inner_conv(self, width, 1, "reduce", use_bias=False)
        self.reduce.build((None, None, 1, channels))
        self.norm = inner_norm(self, "norm")
        self.norm.build((None, None, 1, width))
        self.rows = inner_conv(self, channels, 1, "rows")
        self.rows.build((None, None, 1, width))
        self.columns = inner_conv(self, channels, 1, "columns")
        self.columns.build((None, 1, None, width))

    def attend(self, inputs, training=None):
        """Gates of a feature map: of rows (b, h, 1, c) and of columns (b, 1, w, c)."""
        height = ops.shape(inputs)[1]
        by_row = mean(inputs, 2)[:, :, None]  # (b, h, 1, c)
        by_column = mean(inputs, 1)[:, :, None]  # (b, w, 1, c)
        # side by side, because the statistics of the shared BatchNorm are those of both
        pooled = ops.concatenate([by_row, by_column], axis=1)
        f = self.activation(self.norm(self.reduce(pooled), training=training))
        by_row, by_column = f[:, :height], ops.transpose(f[:, height:], (0, 2, 1, 3))
        gate = GATE_FUNCTIONS[self.gate].function
        return gate(self.rows(by_row)), gate(self.columns(by_column))

    def call(self, inputs, training=None):
        rows, columns = self.attend(inputs, training)
        return inputs * rows * columns

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """The shared layers once for each direction, so that int8 scales stay apart."""
        _, height, width, _ = inputs.shape
        if height is None or width is None:
            raise ValueError(
                f"CoordinateAttention is lowered for one fixed image size. "
                f"Received: shape={inputs.shape}"
            )
        rows = self._lower_gates(inputs, (1, width), self.rows, f"{name}_rows")
        columns = self._lower_gates(inputs, (height, 1), self.columns, f"{name}_columns")
        multiply = keras.layers.Multiply
        gated = multiply(name=f"{name}_by_row", dtype="float32")([inputs, rows])
        return multiply(name=name, dtype="float32")([gated, columns])

    def _lower_gates(self, inputs, window, conv, name):
        z = lower_mean(inputs, window, f"{name}_mean")
        z = lower_layer(self.reduce, z, f"{name}_reduce")
        z = lower_layer(self.norm, z, f"{name}_norm")
        kernel, bias = conv.get_weights()
        if self.activation is keras.activations.hard_swish:
            z = self._lower_six_hard_swish(z, name)
            kernel = kernel / 6
        else:
            z = keras.layers.Activation(self.activation, name=f"{name}_act", dtype="float32")(z)
        return lower_gate(self.gate, pointwise(z, kernel[0, 0], [bias], f"{name}_logits"), name)

    def _lower_six_hard_swish(self, z, name):
        """z relu6(z + 3): XNNPACK takes no HARD_SWISH of integers."""

        def layer(kind, suffix, *args, **kwargs):
            return kind(*args, name=f"{name}_{suffix}", dtype="float32", **kwargs)

        shifted = layer(keras.layers.Rescaling, "shift", 1.0, offset=3.0)(z)
        clipped = layer(keras.layers.ReLU, "relu6", max_value=6.0)(shifted)
        return layer(keras.layers.Multiply, "act")([z, clipped])

    def get_config(self):
        return super().get_config() | {
            "ratio": self.ratio,
            "min_width": self.min_width,
            "activation": keras.activations.serialize(self.activation),
            "gate": self.gate,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def lower_mean(inputs, window, name):
    """Mean over a window as a depthwise convolution: XNNPACK averages no integers in part."""
    size = window[0] * window[1]
    conv = keras.layers.DepthwiseConv2D(window, use_bias=False, name=name, dtype="float32")
    return add_layer(conv, inputs, [np.full((*window, inputs.shape[-1], 1), 1 / size, "float32")])
