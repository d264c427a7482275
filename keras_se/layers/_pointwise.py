"""A dense layer on (b, c) as a 1x1 convolution on (b, 1, 1, c), for deployed files."""

import keras

from ..lowering import add_layer


def lower_pointwise(dense: keras.layers.Dense, inputs, name: str):
    """Build the 1x1 convolution with the dense layer's weights.

    A dense layer on a rank-4 tensor becomes 23 TFLite operators, the convolution one.
    """
    kernel, *bias = dense.get_weights()
    return pointwise(inputs, kernel, bias, name, activation=dense.activation)


def pointwise(inputs, kernel, bias, name: str, activation=None, trainable: bool = True):
    """Apply a (c, filters) matrix, and a bias if there is one, as a 1x1 convolution."""
    conv = keras.layers.Conv2D(
        kernel.shape[-1],
        1,
        use_bias=len(bias) > 0,
        activation=activation,
        trainable=trainable,
        name=name,
        dtype="float32",
    )
    return add_layer(conv, inputs, [kernel[None, None], *bias])
