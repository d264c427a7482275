"""Grouped convolution that trains on a CPU too: the layer ResNeXt and SK rest on."""

import functools

import keras
from keras import ops

from ..lowering import add_layer
from ._common import check_channels_last, check_feature_map

CHUNK = 16  # channels per dense convolution on a CPU: the fastest, benchmarks/grouped_conv.py


@functools.cache
def _native() -> bool:
    """Whether the device runs a grouped convolution and its gradients natively.

    XLA's CPU filter gradient of a grouped convolution, which TensorFlow and JAX
    use, takes a hundred times a dense one's time; PyTorch and GPUs are fast.
    """
    if keras.backend.backend() == "torch":
        return True
    return "cpu" not in str(keras.distribution.list_devices()[0]).lower()


def dense_chunks(kernel, groups: int, chunks: int):
    """Write `groups` grouped kernels as the dense kernels of `chunks` equal parts of them.

    All at once: an operation for each chunk makes a network slow to trace.

    Args:
        kernel: (kh, kw, c / groups, filters).
        groups: number of groups.
        chunks: number of dense kernels; it divides `groups`.

    Returns:
        A list of `chunks` kernels (kh, kw, c / chunks, filters / chunks), zero where input
        and output belong to different groups.
    """
    height, width, fan_in, filters = kernel.shape
    each = groups // chunks
    blocks = ops.reshape(kernel, (height, width, 1, fan_in, chunks, each, filters // groups))
    eye = ops.reshape(ops.eye(each, dtype=kernel.dtype), (each, 1, 1, each, 1))
    dense = ops.reshape(blocks * eye, (height, width, each * fan_in, filters))
    return ops.split(dense, chunks, axis=-1)


@keras.saving.register_keras_serializable("keras_se")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose `groups` are fast on a CPU, forwards and backwards.

    The same arguments, weights and results. On TensorFlow's and JAX's CPU the groups
    are gathered into dense convolutions of about 16 channels with block-diagonal
    kernels; elsewhere, and in a converted file, it is one native grouped convolution.
    It extends Conv2D at the point that Keras offers for it, `convolution_op`.

    Call arguments:
        inputs: (batch, height, width, channels), channels divisible by `groups`.

    Returns:
        (batch, new height, new width, filters).

    Raises:
        ValueError: as `keras.layers.Conv2D`, and for a channels-first data format.

    >>> tuple(GroupedConv2D(32, 3, groups=8, padding="same")(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 32)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        **kwargs,
    ):
        check_channels_last(self, data_format)
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, groups, **kwargs
        )

    def build(self, input_shape):
        check_feature_map(self, input_shape)
        super().build(input_shape)

    def convolution_op(self, inputs, kernel):
        if self.groups == 1 or _native():
            return super().convolution_op(inputs, kernel)
        chunks = self.groups // self._groups_per_chunk(kernel.shape[2])
        parts = zip(
            ops.split(inputs, chunks, axis=-1),
            dense_chunks(kernel, self.groups, chunks),
            strict=True,
        )
        convolve = super().convolution_op
        return ops.concatenate([convolve(x, k) for x, k in parts], axis=-1)

    def _groups_per_chunk(self, group_channels: int) -> int:
        """The largest number of groups that divides them all and stays within a chunk."""
        most = max(1, min(self.groups, CHUNK // group_channels))
        return max(n for n in range(1, most + 1) if self.groups % n == 0)

    def lower(self, inputs, name):
        """One CONV_2D: a native Keras convolution with the same weights."""
        return lower_conv(self, inputs, name)


def lower_conv(conv: keras.layers.Conv2D, inputs, name: str, **changes):
    """Build the float32 `keras.layers.Conv2D` with the weights of `conv`."""
    config = conv.get_config() | {"name": name, "dtype": "float32"} | changes
    return add_layer(keras.layers.Conv2D.from_config(config), inputs, conv.get_weights())
