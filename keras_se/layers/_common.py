"""What the attention layers share: argument checks, the reduced width, safe means."""

import numbers

import keras
from keras import ops


def check_choice(argument: str, value, choices):
    """Return `value` if it is one of `choices`; otherwise say which there are."""
    if value not in list(choices):  # a list cannot be looked up in a dict
        raise ValueError(
            f"Unknown {argument} {value!r}; expected one of {sorted(choices)}. "
            f"Received: {argument}={value!r}"
        )
    return value


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


def freeze(layer: keras.layers.Layer, names: tuple[str, ...]) -> None:
    """Stop the training of inner layers; Keras saves the flag of the outer layer only.

    Args:
        layer: built layer.
        names: of layers directly inside it.

    Raises:
        ValueError: for a name that no inner layer has.
    """
    inner = {part.name: part for part in _parts(layer)}
    if unknown := sorted(set(names) - set(inner)):
        raise ValueError(
            f"`frozen` must name layers inside {type(layer).__name__} '{layer.name}': "
            f"{sorted(inner)}. Received: {unknown}"
        )
    for name in names:
        inner[name].trainable = False


def frozen_names(layer: keras.layers.Layer, names: tuple[str, ...]) -> list[str]:
    """The inner layers that do not train although their layer does: `names` until it is built."""
    if not (layer.built and layer.trainable):
        return list(names)
    return [part.name for part in _parts(layer) if not part.trainable]


def _parts(layer):
    return layer._flatten_layers(include_self=False, recursive=False)  # as in walk.py


def fresh(initializer):
    """A copy of an initializer that draws numbers of its own.

    An initializer without a seed repeats its draw for equal shapes: kernels that shared
    one object would start equal.
    """
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


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
