"""The parameter-free shortcut of He et al., https://arxiv.org/abs/1512.03385 (option A)."""

import keras
import numpy as np
from keras import ops

from ..lowering import add_layer
from ._common import check_channels_last, check_count, check_feature_map


@keras.saving.register_keras_serializable("keras_se")
class PaddedShortcut(keras.layers.Layer):
    """Every `strides`-th pixel, and zeros for the channels that are missing.

    Args:
        filters: int, number of output channels, at least the input's.
        strides: int.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: for fewer filters than input channels, or another rank.

    >>> tuple(PaddedShortcut(32, strides=2)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 4, 4, 32)
    """

    def __init__(self, filters: int, strides: int = 1, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.filters = check_count("filters", filters)
        self.strides = check_count("strides", strides)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        if channels > self.filters:
            raise ValueError(
                f"`filters` must be at least the number of input channels. "
                f"Received: filters={self.filters}, channels={channels}"
            )

    def call(self, inputs):
        missing = self.filters - inputs.shape[-1]
        pixels = inputs[:, :: self.strides, :: self.strides]
        return ops.pad(pixels, ((0, 0), (0, 0), (0, 0), (0, missing)))

    def compute_output_shape(self, input_shape):
        size = (s and -(-s // self.strides) for s in input_shape[1:3])
        return (input_shape[0], *size, self.filters)

    def lower(self, inputs, name):
        """One 1x1 convolution whose kernel is a rectangular identity."""
        conv = keras.layers.Conv2D(
            self.filters,
            1,
            strides=self.strides,
            use_bias=False,
            trainable=False,
            name=name,
            dtype="float32",
        )
        identity = np.eye(inputs.shape[-1], self.filters, dtype="float32")
        return add_layer(conv, inputs, [identity[None, None]])

    def get_config(self):
        return super().get_config() | {"filters": self.filters, "strides": self.strides}
