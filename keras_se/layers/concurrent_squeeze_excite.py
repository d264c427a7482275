"""Concurrent spatial and channel squeeze and excitation (scSE): Roy, Navab, Wachinger,
https://arxiv.org/abs/1803.02579, extended in https://arxiv.org/abs/1808.08127.
"""

import keras
from keras import ops

from ..names import check_name
from ._common import check_channels_last
from ._inner import shared, with_policies
from .spatial_squeeze_excite import SpatialSqueezeExcite
from .squeeze_excite import SqueezeExcite

COMBINATIONS = {"add": ops.add, "max": ops.maximum}


@keras.saving.register_keras_serializable("keras_se")
class ConcurrentSqueezeExcite(keras.layers.Layer):
    """A channel gate and a spatial gate side by side (section 2, "scSE").

        y = (s * x) + (m * x)       or the larger of the two, element by element
        s = sigmoid(W2 relu(W1 mean over h, w of x))   s: (b, 1, 1, c)
        m = sigmoid(W x)                               m: (b, h, w, 1)

    The paper adds; its extension and the authors' code,
    https://github.com/abhi4ssj/squeeze_and_excitation, take the maximum.

    Args:
        ratio: int, r of the channel gate; the paper's is 2.
        combine: "add" or "max".
        gate: name of the gate function of both parts.
        use_bias: bool, whether the layers of both parts have biases.
        kernel_initializer: initializer of both parts' layers.
        kernel_regularizer: regularizer of both parts' layers.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for another combination, and as `SqueezeExcite` and
            `SpatialSqueezeExcite`.

    >>> tuple(ConcurrentSqueezeExcite()(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 2,
        combine: str = "add",
        gate: str = "sigmoid",
        use_bias: bool = True,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.ratio = ratio
        self.combine = check_name("combine", combine, COMBINATIONS)
        self.gate = gate
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.channel = SqueezeExcite(
            ratio,
            gate=gate,
            use_bias=use_bias,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            data_format=data_format,
            name="channel",
            **shared(self),
        )
        self.spatial = SpatialSqueezeExcite(
            gate,
            use_bias,
            self.kernel_initializer,
            self.kernel_regularizer,
            data_format=data_format,
            name="spatial",
            **shared(self),
        )

    def build(self, input_shape):
        self.channel.build(input_shape)
        self.spatial.build(input_shape)

    def call(self, inputs):
        return COMBINATIONS[self.combine](self.channel(inputs), self.spatial(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """The maximum as p + relu(q - p): XNNPACK takes no MAXIMUM of integers."""

        def layer(kind, suffix):
            return kind(name=f"{name}_{suffix}", dtype="float32")

        by_channel = self.channel.lower(inputs, f"{name}_channel")
        by_pixel = self.spatial.lower(inputs, f"{name}_spatial")
        if self.combine == "max":
            excess = layer(keras.layers.Subtract, "difference")([by_pixel, by_channel])
            by_pixel = layer(keras.layers.ReLU, "excess")(excess)
        return keras.layers.Add(name=name, dtype="float32")([by_channel, by_pixel])

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "ratio": self.ratio,
            "combine": self.combine,
            "gate": self.gate,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
