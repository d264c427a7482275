"""Channel squeeze and spatial excitation (sSE): Roy, Navab, Wachinger,
https://arxiv.org/abs/1803.02579.
"""

import keras

from ..lowering import lower_layer
from ._common import check_channels_last, check_feature_map
from ._inner import inner_conv
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate


@keras.saving.register_keras_serializable("keras_se")
class SpatialSqueezeExcite(keras.layers.Layer):
    """Spatial gate from one 1x1 convolution over the channels (section 2, "sSE").

        q = W x + b         W: (c, 1), q: (b, h, w, 1)
        y = gate(q) * x

    The bias follows the authors' code, https://github.com/abhi4ssj/squeeze_and_excitation.

    Args:
        gate: name of the gate function; the paper's is "sigmoid".
        use_bias: bool, whether the convolution has a bias.
        kernel_initializer: initializer of the convolution.
        kernel_regularizer: regularizer of the convolution.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for an unknown gate, an input of another rank or with unknown
            channels, or a channels-first data format.

    >>> tuple(SpatialSqueezeExcite()(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        gate: str = "sigmoid",
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
        check_feature_map(self, input_shape)
        self.squeeze = inner_conv(self, 1, 1, "squeeze", use_bias=self.use_bias)
        self.squeeze.build(input_shape)

    def attend(self, inputs):
        """Gates of a feature map: (batch, height, width, 1)."""
        return GATE_FUNCTIONS[self.gate].function(self.squeeze(inputs))

    def call(self, inputs):
        return inputs * self.attend(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower_gates(self, inputs, name):
        """The gates alone: one convolution and the gate function."""
        return lower_gate(self.gate, lower_layer(self.squeeze, inputs, f"{name}_squeeze"), name)

    def lower(self, inputs, name):
        """Three operators: convolution, gate, product."""
        gates = self.lower_gates(inputs, name)
        return keras.layers.Multiply(name=name, dtype="float32")([inputs, gates])

    def get_config(self):
        return super().get_config() | {
            "gate": self.gate,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
