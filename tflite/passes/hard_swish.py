"""Hard swish as products, which XNNPACK computes in integers."""

import keras
import numpy as np

from ...lowering import add_layer

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def hard_swish(operation, graph, lowering, recipe):
    """Write hard swish as x relu6(x + 3) / 6 in a form that the converter does not fuse again.

    XNNPACK has no HARD_SWISH of integers: each runs in a slow kernel, and MobileNetV3Small's
    19 leave a file of 20 pieces. At 224 it takes 1.7 ms instead of 4.3 (benchmarks/int8_forms.py).

    Where a convolution alone reads it, the sixth goes into its kernel. Elsewhere it is a
    constant depthwise convolution of relu6(x + 3), since a plain product would be fused.

    "auto" leaves it in files that compute in float, which XNNPACK takes.
    """
    wanted = {"auto": recipe.activations == "int8", "keep": False, "product": True}
    if not wanted[lowering.hard_swish]:
        return None
    if _is_hard_swish(operation):
        return lambda new: _alone(operation, new)
    source = graph.producer(operation)
    if type(operation) in _CONVOLUTIONS and _is_hard_swish(source) and graph.readers(source) == 1:
        return lambda new: _into_reader(operation, source, new)
    return None


def _is_hard_swish(operation) -> bool:
    """Whether a layer, or the activation of a convolution, is a hard swish of a feature map."""
    return (
        type(operation) in (keras.layers.Activation, *_CONVOLUTIONS)
        and operation.activation is keras.activations.hard_silu
        and len(operation.output.shape) == 4
    )


def _alone(operation, new):
    """x (relu6(x + 3) / 6)."""
    x, clipped = _factors(operation, new)
    sixth = _layer(keras.layers.DepthwiseConv2D, operation, "sixth", 1, use_bias=False)
    gate = add_layer(sixth, clipped, [np.full((1, 1, x.shape[-1], 1), 1 / 6, "float32")])
    return keras.layers.Multiply(name=operation.name, dtype="float32")([x, gate])


def _into_reader(reader, source, new):
    """The convolution that reads x relu6(x + 3), with a kernel of a sixth."""
    product = _layer(keras.layers.Multiply, source, "times_6")(_factors(source, new))
    kernel, *bias = reader.get_weights()
    copy = type(reader).from_config(reader.get_config())
    return add_layer(copy, product, [kernel / 6, *bias])


def _factors(operation, new) -> list:
    """What the hard swish is of, x, and relu6(x + 3)."""
    x = new(operation.input)
    if not isinstance(operation, keras.layers.Activation):
        linear = {"activation": None, "name": f"{operation.name}_linear"}
        copy = type(operation).from_config(operation.get_config() | linear)
        x = add_layer(copy, x, operation.get_weights())
    shifted = _layer(keras.layers.Rescaling, operation, "shift", 1.0, offset=3.0)(x)
    return [x, _layer(keras.layers.ReLU, operation, "relu6", max_value=6.0)(shifted)]


def _layer(kind, operation, part: str, *args, **kwargs):
    return kind(*args, name=f"{operation.name}_{part}", dtype="float32", **kwargs)
