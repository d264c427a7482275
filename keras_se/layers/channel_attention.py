"""The channel gate of CBAM: Woo, Park, Lee, Kweon, https://arxiv.org/abs/1807.06521.

The shared layers have biases, as in https://github.com/Jongchan/attention-module.
"""

import keras

from ..lowering import add_layer
from ._common import (
    check_channels_last,
    check_count,
    check_feature_map,
    largest,
    mean,
    reduced_width,
)
from ._inner import inner_dense, with_policies
from ._pointwise import lower_pointwise, pointwise
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate


@keras.saving.register_keras_serializable("keras_se")
class ChannelAttention(keras.layers.Layer):
    """Channel gate from average and maximum, through shared layers (equation 2).

        m = gate(MLP(mean over h, w of x) + MLP(max over h, w of x))   m: (b, 1, 1, c)
        y = m * x

    Args:
        ratio: int, r of the paper. The hidden width is c / r.
        divisor: int. The hidden width is rounded to a multiple of it.
        activation: activation of the hidden layer.
        gate: name of the gate function; the paper's is "sigmoid".
        use_bias: bool, whether the shared layers have biases (the authors' code has).
        kernel_initializer: initializer of the shared layers.
        kernel_regularizer: regularizer of the shared layers.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for ratio < 1 or > channels, an unknown gate, an input of another
            rank or with unknown channels, or a channels-first data format.

    >>> tuple(ChannelAttention(ratio=4)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 16,
        divisor: int = 1,
        activation="relu",
        gate: str = "sigmoid",
        use_bias: bool = True,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.ratio = check_count("ratio", ratio)
        self.divisor = check_count("divisor", divisor)
        self.activation = keras.activations.get(activation)
        self.gate = check_gate(gate)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        width = reduced_width(channels, self.ratio, self.divisor)
        bias = {"use_bias": self.use_bias}
        self.reduce = inner_dense(self, width, "reduce", activation=self.activation, **bias)
        self.reduce.build((None, channels))
        self.expand = inner_dense(self, channels, "expand", **bias)
        self.expand.build((None, width))

    def excite(self, inputs):
        """Gates of a feature map: (batch, 1, 1, channels)."""
        pooled = mean(inputs, (1, 2)), largest(inputs, (1, 2))
        logits = sum(self.expand(self.reduce(z)) for z in pooled)  # (b, c)
        return GATE_FUNCTIONS[self.gate].function(logits)[:, None, None, :]

    def call(self, inputs):
        return inputs * self.excite(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """Two poolings, the first layer once for each, and the second for the sum of both.

        It is linear: W a + b + W m + b = W (a + m) + 2 b. In int8 its logits then have one range,
        where two summands would be rounded in steps of their own.
        """
        pools = {
            "avg": keras.layers.GlobalAveragePooling2D,
            "max": keras.layers.GlobalMaxPooling2D,
        }
        hidden = []
        for pool, layer in pools.items():
            z = add_layer(layer(keepdims=True, name=f"{name}_{pool}", dtype="float32"), inputs)
            hidden.append(lower_pointwise(self.reduce, z, f"{name}_{pool}_reduce"))
        total = keras.layers.Add(name=f"{name}_hidden", dtype="float32")(hidden)
        kernel, *bias = self.expand.get_weights()
        logits = pointwise(total, kernel, [2 * b for b in bias], f"{name}_expand")
        gates = lower_gate(self.gate, logits, name)
        return keras.layers.Multiply(name=name, dtype="float32")([inputs, gates])

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "ratio": self.ratio,
            "divisor": self.divisor,
            "activation": keras.activations.serialize(self.activation),
            "gate": self.gate,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
