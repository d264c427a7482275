"""Average pools over windows as depthwise convolutions."""

import keras
import numpy as np

from ...lowering import add_layer


def window_pool(operation, graph, lowering, recipe):
    """Write an average pool over windows as a constant depthwise convolution.

    XNNPACK averages no integers: AVERAGE_POOL_2D of int8 runs in a slow kernel, and the file
    falls into pieces around it. InceptionV3 at 299 takes 31 ms instead of 38, in one piece
    instead of 10 (benchmarks/int8_forms.py). The convolution has a scale of its own, too, where
    the pool has that of its input.

    A pool that is padded averages the pixels inside the map alone, while the zeros around it
    count for a convolution: what they take is given back by one factor for each position,
    window / pixels inside.

    "auto" leaves the pools of files that compute in float, which XNNPACK takes.
    """
    wanted = {"auto": recipe.activations == "int8", "keep": False, "conv": True}
    if not wanted[lowering.window_pool] or type(operation) is not keras.layers.AveragePooling2D:
        return None
    if len(set(operation.strides)) > 1 or operation.data_format != "channels_last":
        return None  # a depthwise convolution has one stride

    def build(new):
        name, window = operation.name, operation.pool_size
        inputs = new(operation.input)
        scale = _padding_scale(operation)
        conv = keras.layers.DepthwiseConv2D(
            window,
            strides=operation.strides,
            padding=operation.padding,
            use_bias=False,
            trainable=False,
            name=name if scale is None else f"{name}_sum",
            dtype="float32",
        )
        kernel = np.full((*window, inputs.shape[-1], 1), 1 / np.prod(window), "float32")
        averaged = add_layer(conv, inputs, [kernel])
        if scale is None:
            return averaged
        return keras.layers.Rescaling(scale, name=name, dtype="float32")(averaged)

    return build


def _padding_scale(pool) -> np.ndarray | None:
    """Window / pixels inside the map, (1, h, w, 1); None where no window leaves the map."""
    if pool.padding == "valid":
        return None
    inside = [
        _inside(*axis)
        for axis in zip(pool.input.shape[1:3], pool.pool_size, pool.strides, strict=True)
    ]
    share = np.multiply.outer(*inside) / np.prod(pool.pool_size)
    return None if np.all(share == 1) else (1 / share)[None, :, :, None].astype("float32")


def _inside(size: int, window: int, stride: int) -> np.ndarray:
    """How many pixels of each window lie inside a padded axis, (ceil(size / stride),)."""
    first = np.arange(-(-size // stride)) * stride
    first -= max(first[-1] + window - size, 0) // 2
    return np.minimum(first + window, size) - np.maximum(first, 0)
