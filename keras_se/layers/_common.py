"""What the attention layers share: argument checks, the reduced width, safe means and maxima."""

import numbers

import keras
from keras import ops

# By how much of itself a value may change when it is rounded.
_ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def check_count(argument: str, value, minimum: int = 1) -> int:
    """Return `value` if it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(
            f"`{argument}` must be a whole number of at least {minimum}. "
            f"Received: {argument}={value!r}"
        )
    return int(value)


def check_odd(argument: str, value) -> int:
    """Return `value` if it is a positive odd number, as a centred kernel needs."""
    if check_count(argument, value) % 2 == 0:
        raise ValueError(f"`{argument}` must be odd to be centred. Received: {argument}={value!r}")
    return int(value)


def check_channels_last(layer: keras.layers.Layer, data_format: str | None):
    """Refuse channels-first feature maps, asked for by argument or by Keras' configuration."""
    data_format = data_format or keras.config.image_data_format()
    if data_format != "channels_last":
        raise ValueError(
            f"{type(layer).__name__} works on channels-last feature maps (batch, height, width, "
            f"channels); transpose the input or set "
            f'keras.config.set_image_data_format("channels_last"). '
            f"Received: data_format={data_format!r}"
        )


def check_feature_map(layer: keras.layers.Layer, input_shape) -> int:
    """Return the channel count of a (batch, height, width, channels) shape."""
    if len(input_shape) != 4 or input_shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}' needs a feature map (batch, height, width, "
            f"channels) with a known number of channels. Received: input_shape={input_shape}"
        )
    return input_shape[-1]


def check_sizes(argument: str, values) -> tuple[int, ...]:
    """Return a list of positive odd numbers as a tuple."""
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(
            f"`{argument}` must be a tuple of odd numbers. Received: {argument}={values!r}"
        )
    return tuple(check_odd(argument, value) for value in values)


def reduced_width(channels: int, ratio: int, divisor: int = 1, minimum: int = 1) -> int:
    """Width of a bottleneck: channels / ratio, rounded to a multiple of `divisor`.

    `divisor=1` rounds down, as the authors' networks do; a larger one rounds to the
    nearest multiple and at least to one of them, as timm does.
    """
    if ratio > channels:
        raise ValueError(
            f"`ratio` must not exceed the number of channels. "
            f"Received: ratio={ratio}, channels={channels}"
        )
    if divisor == 1:
        return max(minimum, channels // ratio)
    return max(minimum, divisor, int(channels / ratio + divisor / 2) // divisor * divisor)


def mean(x, axis, keepdims: bool = False):
    """Mean over `axis`, summed in float32 at least.

    A float16 sum over a 112x112 map overflows once values average above 5.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype not in ("float16", "bfloat16"):
        return ops.mean(x, axis=axis, keepdims=keepdims)
    return ops.cast(ops.mean(ops.cast(x, "float32"), axis=axis, keepdims=keepdims), dtype)


def largest(x, axis, keepdims: bool = False):
    """Maximum over `axis`. Its gradient is shared by the values that equal it.

    That of `keras.ops.max` divides by the number of such values. A compiler may compute both sides
    of the comparison anew and round them differently; none is equal then, and 0 / 0 is NaN (seen
    in CBAM-ResNet with JAX's XLA). So a value counts here that is a rounding smaller.
    """

    @ops.custom_gradient
    def maximum(x):
        found = ops.max(x, axis=axis, keepdims=True)

        def gradient(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream
            dtype = keras.backend.standardize_dtype(x.dtype)
            equal = x >= found - _ROUNDING[dtype] * ops.abs(found)
            count = ops.sum(ops.cast(equal, "float32"), axis=axis, keepdims=True)
            return upstream / ops.cast(ops.maximum(count, 1), dtype) * ops.cast(equal, dtype)

        return found, gradient

    found = maximum(x)
    return found if keepdims else ops.squeeze(found, axis)
