"""Squeeze-and-Excitation: Hu, Shen, Albanie, Sun, Wu, https://arxiv.org/abs/1709.01507."""

import keras

from ..lowering import add_layer
from ..names import check_name
from ._common import (
    check_channels_last,
    check_count,
    check_feature_map,
    largest,
    mean,
    reduced_width,
)
from ._inner import inner_dense, with_policies
from ._pointwise import lower_pointwise
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate

SQUEEZES = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


@keras.saving.register_keras_serializable("keras_se")
class SqueezeExcite(keras.layers.Layer):
    """Channel gate from the global average of the feature map (equations 2-4).

        z = mean over h, w of x           z: (b, c)
        s = gate(W2 relu(W1 z + b1) + b2) W1: (c, c/r), W2: (c/r, c)
        y = s * x                         s: (b, 1, 1, c)

    The released networks have both biases; the paper's text leaves them out.

    Args:
        ratio: int, r of the paper. The reduced width is c / r.
        divisor: int. The reduced width is rounded to a multiple of it (timm: 8).
        activation: activation between the two layers.
        gate: "sigmoid", "hard_sigmoid", "tanh", "relu", "clip" (to [0, 1]) or
            "sigmoid2" (2 sigmoid; the last layer starts at zero, so the layer
            starts as the identity).
        use_bias: bool, whether both layers have biases.
        squeeze: "avg" or "max", the pooling over space.
        kernel_initializer: initializer of both layers.
        kernel_regularizer: regularizer of both layers.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for ratio < 1 or ratio > channels, an unknown gate or squeeze,
            an input that is not (batch, height, width, known channels), or
            a channels-first data format.

    >>> tuple(SqueezeExcite(ratio=4)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 16,
        divisor: int = 1,
        activation="relu",
        gate: str = "sigmoid",
        use_bias: bool = True,
        squeeze: str = "avg",
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
        self.squeeze = check_name("squeeze", squeeze, SQUEEZES)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        width = reduced_width(channels, self.ratio, self.divisor)
        bias = {"use_bias": self.use_bias}
        self.reduce = inner_dense(self, width, "reduce", activation=self.activation, **bias)
        self.reduce.build((None, channels))
        start = {"kernel_initializer": "zeros"} if self.gate == "sigmoid2" else {}
        self.expand = inner_dense(self, channels, "expand", **bias, **start)
        self.expand.build((None, width))

    @property
    def uses_means(self) -> bool:
        """Whether the squeeze is the average (see `MeanGate`)."""
        return self.squeeze == "avg"

    def excite(self, inputs):
        """Gates of a feature map: (batch, 1, 1, channels), in [0, 1] for a sigmoid."""
        pooled = mean(inputs, (1, 2)) if self.uses_means else largest(inputs, (1, 2))
        return self.excite_means(pooled)

    def excite_means(self, means):
        """Gates (batch, 1, 1, channels) of what was squeezed: (batch, channels)."""
        logits = self.expand(self.reduce(means))  # (b, c)
        return GATE_FUNCTIONS[self.gate].function(logits)[:, None, None, :]

    def call(self, inputs):
        return inputs * self.excite(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """Five operators: pooling, two 1x1 convolutions, the gate, one product."""
        pool = SQUEEZES[self.squeeze](keepdims=True, name=f"{name}_squeeze", dtype="float32")
        hidden = lower_pointwise(self.reduce, add_layer(pool, inputs), f"{name}_reduce")
        logits = lower_pointwise(self.expand, hidden, f"{name}_expand")
        gates = lower_gate(self.gate, logits, name)
        return keras.layers.Multiply(name=name, dtype="float32")([inputs, gates])

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "ratio": self.ratio,
            "divisor": self.divisor,
            "activation": keras.activations.serialize(self.activation),
            "gate": self.gate,
            "use_bias": self.use_bias,
            "squeeze": self.squeeze,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
