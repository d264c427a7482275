"""Gather-Excite: Hu, Shen, Albanie, Sun, Vedaldi, https://arxiv.org/abs/1810.12348.

The layers of each variant follow https://github.com/hujie-frank/GENet: its figure 2 for
extents, its prototxt files for the global extent.
"""

import keras
from keras import ops

from ..names import check_name
from ._common import (
    check_channels_last,
    check_count,
    check_feature_map,
    mean,
    reduced_width,
)
from ._gather_excite_lowering import lower_gather_excite
from ._inner import fresh, inner_dense, inner_norm, shared, with_policies
from .gate_functions import GATE_FUNCTIONS, check_gate

VARIANTS = ("theta-", "theta", "theta+")
EXTENTS = (0, 2, 4, 8)


@keras.saving.register_keras_serializable("keras_se")
class GatherExcite(keras.layers.Layer):
    """Gates from each pixel's surroundings of extent e (section 2).

        z = gather(x)                       z: (b, ceil(h / e), ceil(w / e), c)
        y = x * interpolate(gate(z))        to the nearest of the ceil(h / e) rows

    "theta-" gathers the mean of the (2e - 1)x(2e - 1) pixels around every e-th pixel,
    without parameters; pixels outside the image do not count. "theta" gathers by log2(e)
    depthwise 3x3 convolutions of stride 2, BN after each, ReLU between them. "theta+" adds
    a ReLU and the two layers of squeeze and excitation: z = W2 relu(W1 relu(z) + b1) + b2.
    With extent 0 the surroundings are the whole map and z is (b, 1, 1, c); "theta" and
    "theta+" then need a fixed image size, for a depthwise convolution of that size.

    Args:
        extent: int, e of the paper: 2, 4, 8, or 0 for the whole map.
        variant: "theta-", "theta" or "theta+".
        ratio: int, r of squeeze and excitation, for "theta+".
        gate: name of the gate function; the paper's is "sigmoid".
        epsilon: float, BatchNorm's.
        momentum: float, BatchNorm's.
        kernel_initializer: initializer of all kernels.
        kernel_regularizer: regularizer of all kernels.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).
        training: bool, whether BatchNorm uses and updates batch statistics.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for another extent, variant or gate, ratio < 1 or > channels, extent 0 with
            parameters and an unknown image size, an input of another rank or with
            unknown channels, or a channels-first data format.

    >>> tuple(GatherExcite(extent=4)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        extent: int = 8,
        variant: str = "theta",
        ratio: int = 16,
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
        self.extent = check_name("extent", check_count("extent", extent, 0), EXTENTS)
        self.variant = check_name("variant", variant, VARIANTS)
        self.ratio = check_count("ratio", ratio)
        self.gate = check_gate(gate)
        self.epsilon = epsilon
        self.momentum = momentum
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        size = input_shape[1:3] if self.extent == 0 else (3, 3)
        if self.variant != "theta-" and None in size:
            raise ValueError(
                f"GatherExcite '{self.name}' with extent=0 and parameters needs a fixed image "
                f"size; give an extent of 2, 4 or 8, or variant='theta-'. "
                f"Received: input_shape={input_shape}, variant={self.variant!r}"
            )
        count = 0 if self.variant == "theta-" else max(1, self.extent.bit_length() - 1)
        self.convs = [self._conv(size, f"conv{i}") for i in range(count)]
        self.norms = [inner_norm(self, f"norm{i}") for i in range(count)]
        for layer in (*self.convs, *self.norms):
            layer.build((None, None, None, channels))
        if self.variant == "theta+":
            width = reduced_width(channels, self.ratio)
            self.reduce = inner_dense(self, width, "reduce", activation="relu")
            self.reduce.build((None, None, None, channels))
            self.expand = inner_dense(self, channels, "expand")
            self.expand.build((None, None, None, width))

    def _conv(self, size, name):
        return keras.layers.DepthwiseConv2D(
            tuple(size),
            strides=2 if self.extent else 1,
            use_bias=False,
            depthwise_initializer=fresh(self.kernel_initializer),
            depthwise_regularizer=self.kernel_regularizer,
            name=name,
            data_format="channels_last",
            **shared(self, name),
        )

    def gather(self, inputs, training=None):
        """Logits of the coarse gates: (batch, ceil(h / e), ceil(w / e), channels)."""
        if self.variant == "theta-":
            return _local_mean(inputs, self.extent)
        z = inputs
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            z = conv(_pad(ops.relu(z) if i else z, 1 if self.extent else 0))
            z = norm(z, training=training)
        if self.variant == "theta+":
            z = self.expand(self.reduce(ops.relu(z)))
        return z

    def attend(self, inputs, training=None):
        """Gates of a feature map: of its shape, or (batch, 1, 1, channels) for extent 0."""
        gates = GATE_FUNCTIONS[self.gate].function(self.gather(inputs, training))
        if self.extent == 0:
            return gates
        for axis in (1, 2):
            size, coarse = ops.shape(inputs)[axis], ops.shape(gates)[axis]
            gates = ops.take(gates, ops.arange(size) * coarse // size, axis=axis)
        return gates

    def call(self, inputs, training=None):
        return inputs * self.attend(inputs, training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """Constant depthwise convolutions for the means, 1x1 ones that repeat the gates."""
        return lower_gather_excite(self, inputs, name)

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "extent": self.extent,
            "variant": self.variant,
            "ratio": self.ratio,
            "gate": self.gate,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def _pad(x, margin):
    """Zeros on every side, so that the windows are centred on every e-th pixel."""
    return ops.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0))) if margin else x


def _local_mean(x, extent):
    """Mean of the pixels within extent - 1 of every extent-th pixel; 0 means all of them."""
    if extent == 0:
        return mean(x, (1, 2), keepdims=True)

    def pool(values):  # sums could overflow in float16
        dtype = keras.backend.result_type(values.dtype, "float32")
        padded = _pad(ops.cast(values, dtype), extent - 1)
        return ops.average_pool(padded, 2 * extent - 1, extent, "valid", "channels_last")

    inside = pool(ops.ones_like(x[:1, :, :, :1]))
    return ops.cast(pool(x) / inside, x.dtype)
