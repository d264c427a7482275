"""Global Context block (GCNet): Cao, Xu, Lin, Wei, Hu, https://arxiv.org/abs/1904.11492.

The zero start of the last layer follows https://github.com/xvjiarui/GCNet.
"""

import keras
import numpy as np
from keras import ops

from ._common import (
    check_channels_last,
    check_count,
    check_feature_map,
    reduced_width,
)
from ._inner import inner_dense, shared, with_policies
from ._pointwise import lower_pointwise, pointwise


@keras.saving.register_keras_serializable("keras_se")
class GlobalContext(keras.layers.Layer):
    """Adds a transformed context to every pixel; not a product (equation 5).

        a = softmax over h, w of (Wk x)             Wk: (c, 1), a: (b, h, w, 1)
        z = sum over h, w of a * x                  z: (b, c)
        y = x + W2 relu(LayerNorm(W1 z + b1)) + b2  W1: (c, c/r), W2: (c/r, c)

    The last layer starts at zero, so the block starts as the identity. Wk has no bias:
    the softmax cancels it.

    Args:
        ratio: int, r of the paper. The reduced width is c / r.
        min_width: int. The reduced width is at least this; the paper's networks have
            c / r of 16 and more. LayerNorm of one value is a constant, of two a sign.
        epsilon: float, LayerNorm's.
        kernel_initializer: initializer of Wk and W1.
        kernel_regularizer: regularizer of all three layers.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for ratio < 1 or > channels, min_width < 2, an input of another rank
            or with unknown channels, or a channels-first data format.

    >>> tuple(GlobalContext(ratio=4)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 16,
        min_width: int = 8,
        epsilon: float = 1e-5,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.ratio = check_count("ratio", ratio)
        self.min_width = check_count("min_width", min_width, minimum=2)
        self.epsilon = epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        width = reduced_width(channels, self.ratio, minimum=self.min_width)
        self.mask = inner_dense(self, 1, "mask", use_bias=False)
        self.mask.build((None, channels))
        self.reduce = inner_dense(self, width, "reduce")
        self.reduce.build((None, channels))
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.epsilon, name="norm", **shared(self, "norm")
        )
        self.norm.build((None, width))
        self.expand = inner_dense(self, channels, "expand", kernel_initializer="zeros")
        self.expand.build((None, width))

    def context(self, inputs):
        """The term that is added to every pixel: (batch, 1, 1, channels)."""
        batch, height, width, channels = ops.shape(inputs)
        pixels = ops.reshape(inputs, (batch, height * width, channels))
        logits = ops.transpose(self.mask(pixels), (0, 2, 1))  # (b, 1, hw)
        # float16 keeps 11 bits of each weight, whatever their number: they sum to 1
        pooled = ops.matmul(ops.softmax(logits, axis=-1), pixels)  # (b, 1, c)
        return self.expand(ops.relu(self.norm(self.reduce(pooled))))[:, None]

    def call(self, inputs):
        return inputs + self.context(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """The softmax as exp(l - max) over its sum, divided once, after the pooling.

        In int8 a softmax has the fixed step 1/256: over 56x56 pixels every weight is zero.
        """

        def layer(kind, suffix, *args, **kwargs):
            return kind(*args, name=f"{name}{suffix}", dtype="float32", **kwargs)

        def mean_of(x, suffix):
            return layer(keras.layers.GlobalAveragePooling2D, suffix, keepdims=True)(x)

        logits = lower_pointwise(self.mask, inputs, f"{name}_mask")
        largest = layer(keras.layers.GlobalMaxPooling2D, "_largest", keepdims=True)(logits)
        shifted = layer(keras.layers.Subtract, "_shift")([logits, largest])
        weights = layer(keras.layers.Activation, "_weights", "exponential")(shifted)
        weighted = layer(keras.layers.Multiply, "_weighted")([inputs, weights])
        # 1 / s is rsqrt(s) twice
        root = layer(keras.layers.Activation, "_root", _rsqrt)(mean_of(weights, "_sum"))
        pooled = layer(keras.layers.Multiply, "_half")([mean_of(weighted, "_pool"), root])
        pooled = layer(keras.layers.Multiply, "_pooled")([pooled, root])
        z = self._lower_norm(pooled, name)
        context = lower_pointwise(self.expand, z, f"{name}_expand")
        return layer(keras.layers.Add, "")([inputs, context])

    def _lower_norm(self, pooled, name):
        """W1, LayerNorm and ReLU: t = W1 z + b1 less its mean, relu(t rsqrt(mean t^2 + e)).

        Keras' LayerNormalization is 10 operators, of which NEG has no integer form.
        """
        kernel, bias = self.reduce.get_weights()
        gamma, beta = self.norm.get_weights()
        width = len(gamma)
        centred = kernel - kernel.mean(-1, keepdims=True), bias - bias.mean()
        t = pointwise(pooled, centred[0], [centred[1]], f"{name}_reduce")
        squares = keras.layers.Multiply(name=f"{name}_squares", dtype="float32")([t, t])
        average = np.full((width, width), 1 / width, "float32")
        variance = pointwise(squares, average, [np.full(width, self.epsilon)], f"{name}_variance")
        inverse = keras.layers.Activation(_rsqrt, name=f"{name}_rsqrt", dtype="float32")(variance)
        t = keras.layers.Multiply(name=f"{name}_norm", dtype="float32")([t, inverse])
        return pointwise(t, np.diag(gamma), [beta], f"{name}_scale", activation="relu")

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "ratio": self.ratio,
            "min_width": self.min_width,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable("keras_se")
def _rsqrt(x):
    return ops.rsqrt(x)
