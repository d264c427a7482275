"""Effective Squeeze-and-Excitation (eSE): Lee, Park, https://arxiv.org/abs/1911.06667.

The hard sigmoid and the bias follow https://github.com/youngwanLEE/vovnet-detectron2.
"""

import keras

from ..lowering import add_layer
from ._common import check_channels_last, check_feature_map, mean
from ._inner import inner_dense, with_policies
from ._pointwise import lower_pointwise
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate


@keras.saving.register_keras_serializable("keras_se")
class EffectiveSqueezeExcite(keras.layers.Layer):
    """Channel gate from one layer of full width, without a bottleneck (section 3.3, "eSE").

        z = mean over h, w of x     z: (b, c)
        s = gate(W z + b)           W: (c, c), s: (b, 1, 1, c)
        y = s * x

    Args:
        gate: name of the gate function. "hard_sigmoid", relu6(x + 3) / 6, is that of the
            released networks; the paper writes sigma.
        use_bias: bool, whether the layer has a bias.
        kernel_initializer: initializer of the layer.
        kernel_regularizer: regularizer of the layer.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for an unknown gate, an input of another rank or with unknown
            channels, or a channels-first data format.

    >>> tuple(EffectiveSqueezeExcite()(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        gate: str = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.gate = check_gate(gate)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        self.dense = inner_dense(self, channels, "dense", use_bias=self.use_bias)
        self.dense.build((None, channels))

    uses_means = True  # see `MeanGate`

    def excite(self, inputs):
        """Gates of a feature map: (batch, 1, 1, channels)."""
        return self.excite_means(mean(inputs, (1, 2)))

    def excite_means(self, means):
        """Gates (batch, 1, 1, channels) of the spatial means (batch, channels)."""
        return GATE_FUNCTIONS[self.gate].function(self.dense(means))[:, None, None, :]

    def call(self, inputs):
        return inputs * self.excite(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """Pooling, one 1x1 convolution, the gate, one product."""
        pool = keras.layers.GlobalAveragePooling2D(
            keepdims=True, name=f"{name}_squeeze", dtype="float32"
        )
        logits = lower_pointwise(self.dense, add_layer(pool, inputs), f"{name}_dense")
        gates = lower_gate(self.gate, logits, name)
        return keras.layers.Multiply(name=name, dtype="float32")([inputs, gates])

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "gate": self.gate,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
