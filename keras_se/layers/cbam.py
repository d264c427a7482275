"""CBAM: Woo, Park, Lee, Kweon, https://arxiv.org/abs/1807.06521."""

import keras

from ._inner import shared, with_policies
from .channel_attention import ChannelAttention
from .spatial_attention import SpatialAttention


@keras.saving.register_keras_serializable("keras_se")
class CBAM(keras.layers.Layer):
    """Convolutional block attention: a channel gate, then a spatial gate (equation 1).

    Args:
        ratio: int, r of the channel gate.
        kernel_size: odd int, of the spatial gate.
        divisor: int. The hidden width is rounded to a multiple of it.
        activation: activation of the channel gate's hidden layer.
        gate: name of the gate function of both parts.
        use_bias: bool, whether the channel gate's layers have biases.
        channel: bool, False leaves the channel gate out.
        spatial: bool, False leaves the spatial gate out.
        kernel_initializer: initializer of the channel gate's layers.
        kernel_regularizer: regularizer of the kernels of both parts.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).
        training: bool, for the spatial gate's BatchNorm.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: as `ChannelAttention` and `SpatialAttention`, and when both are left out.

    >>> tuple(CBAM(ratio=4)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 16,
        kernel_size: int = 7,
        divisor: int = 1,
        activation="relu",
        gate: str = "sigmoid",
        use_bias: bool = True,
        channel: bool = True,
        spatial: bool = True,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not channel and not spatial:
            raise ValueError(
                "CBAM needs at least one of its parts. Received: channel=False, spatial=False"
            )
        self.ratio = ratio
        self.kernel_size = kernel_size
        self.divisor = divisor
        self.activation = keras.activations.get(activation)
        self.gate = gate
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.channel = (
            ChannelAttention(
                ratio,
                divisor,
                self.activation,
                gate,
                use_bias,
                self.kernel_initializer,
                self.kernel_regularizer,
                data_format=data_format,
                name="channel",
                **shared(self),
            )
            if channel
            else None
        )
        self.spatial = (
            SpatialAttention(
                kernel_size,
                gate,
                kernel_regularizer=self.kernel_regularizer,
                data_format=data_format,
                name="spatial",
                **shared(self),
            )
            if spatial
            else None
        )

    @property
    def parts(self) -> list[keras.layers.Layer]:
        """The gates, in the order they are applied."""
        return [part for part in (self.channel, self.spatial) if part is not None]

    def build(self, input_shape):
        for part in self.parts:
            part.build(input_shape)

    def call(self, inputs, training=None):
        if self.channel is not None:
            inputs = self.channel(inputs)
        if self.spatial is not None:
            inputs = self.spatial(inputs, training=training)
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """The lowered parts, one after the other."""
        for part in self.parts:
            inputs = part.lower(inputs, f"{name}_{part.name}")
        return inputs

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "ratio": self.ratio,
            "kernel_size": self.kernel_size,
            "divisor": self.divisor,
            "activation": keras.activations.serialize(self.activation),
            "gate": self.gate,
            "use_bias": self.use_bias,
            "channel": self.channel is not None,
            "spatial": self.spatial is not None,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
