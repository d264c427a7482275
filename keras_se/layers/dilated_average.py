"""The pooling of a ResNet-D shortcut, https://arxiv.org/abs/1812.01187, without its stride."""

import keras
from keras import ops

from ._common import check_channels_last, check_count, check_feature_map


@keras.saving.register_keras_serializable("keras_se")
class DilatedAverage(keras.layers.Layer):
    """The mean of 2x2 pixels that lie `dilation` apart, at every pixel.

        y[i, j] = mean of x[i, j], x[i + d, j], x[i, j + d], x[i + d, j + d]   d: dilation

    as far as these lie inside. At every 2d-th pixel it is what
    `AveragePooling2D(2, 2, padding="same")` makes of every d-th pixel: a network that
    dilates instead of striding computes the same with the same weights.

    Args:
        dilation: int, d.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for dilation < 1, an input of another rank or with unknown channels, or a
            channels-first data format.

    >>> rows = keras.ops.reshape(keras.ops.arange(4.0), (1, 4, 1, 1))
    >>> DilatedAverage(2)(rows)[0, :, 0, 0].numpy().tolist()
    [1.0, 2.0, 2.0, 3.0]
    """

    def __init__(self, dilation: int = 1, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.dilation = check_count("dilation", dilation)

    def build(self, input_shape):
        check_feature_map(self, input_shape)

    def call(self, inputs):
        d = self.dilation
        # What lies outside is replaced by the pixel itself, which leaves the mean its own.
        x = (inputs + ops.concatenate([inputs[:, d:], inputs[:, -d:]], axis=1)) / 2
        return (x + ops.concatenate([x[:, :, d:], x[:, :, -d:]], axis=2)) / 2

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """Slices, joined and averaged, along one axis after the other."""
        for axis, suffix in ((0, "_rows"), (1, "")):
            inputs = self._lower_axis(inputs, axis, f"{name}{suffix}")
        return inputs

    def _lower_axis(self, x, axis, name):
        def layer(kind, suffix, *args, **kwargs):
            return kind(*args, name=f"{name}{suffix}", dtype="float32", **kwargs)

        def cropped(suffix, count):
            crop = [(0, 0), (0, 0)]
            crop[axis] = (count, 0)
            return layer(keras.layers.Cropping2D, suffix, tuple(crop))(x)

        size = x.shape[1 + axis]
        if size is None:
            raise ValueError(
                f"DilatedAverage is lowered for one fixed image size. Received: shape={x.shape}"
            )
        if size <= self.dilation:  # every pixel is alone
            return x
        parts = [cropped("_inside", self.dilation), cropped("_border", size - self.dilation)]
        moved = layer(keras.layers.Concatenate, "_moved", axis=1 + axis)(parts)
        return layer(keras.layers.Average, "")([x, moved])

    def get_config(self):
        return super().get_config() | {"dilation": self.dilation}
