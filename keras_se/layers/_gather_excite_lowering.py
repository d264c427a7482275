"""The deployed form of Gather-Excite, for one fixed image size."""

import keras
import numpy as np

from ..lowering import add_layer, lower_layer
from ._pointwise import lower_pointwise, pointwise
from .gate_functions import lower_gate


def lower_gather_excite(layer, inputs, name: str):
    """Rebuild a `GatherExcite` from primitive layers."""
    _, height, width, _ = inputs.shape
    if height is None or width is None:
        raise ValueError(
            f"GatherExcite is lowered for one fixed image size. Received: shape={inputs.shape}"
        )
    gather = _lower_mean if layer.variant == "theta-" else _lower_convs
    z = gather(layer, inputs, name)
    if layer.variant == "theta+":
        z = _primitive(keras.layers.ReLU, f"{name}_act")(z)
        z = lower_pointwise(layer.reduce, z, f"{name}_reduce")
        z = lower_pointwise(layer.expand, z, f"{name}_expand")
    gates = lower_gate(layer.gate, z, name)
    if layer.extent:
        gates = _interpolate(gates, (height, width), name)
    return _primitive(keras.layers.Multiply, name)([inputs, gates])


def _primitive(kind, name, **arguments):
    return kind(name=name, dtype="float32", **arguments)


def _lower_convs(layer, z, name):
    for i, (conv, norm) in enumerate(zip(layer.convs, layer.norms, strict=True)):
        if i:
            z = _primitive(keras.layers.ReLU, f"{name}_act{i}")(z)
        if layer.extent:
            z = _primitive(keras.layers.ZeroPadding2D, f"{name}_pad{i}", padding=1)(z)
        z = lower_layer(norm, lower_layer(conv, z, f"{name}_conv{i}"), f"{name}_norm{i}")
    return z


def _lower_mean(layer, inputs, name):
    """A constant depthwise convolution; what it took for pixels outside is divided out."""
    if layer.extent == 0:
        return _primitive(keras.layers.GlobalAveragePooling2D, f"{name}_mean", keepdims=True)(
            inputs
        )
    _, height, width, channels = inputs.shape
    size, margin = 2 * layer.extent - 1, layer.extent - 1
    padded = _primitive(keras.layers.ZeroPadding2D, f"{name}_pad", padding=margin)(inputs)
    conv = _primitive(
        keras.layers.DepthwiseConv2D,
        f"{name}_mean",
        kernel_size=size,
        strides=layer.extent,
        use_bias=False,
    )
    z = add_layer(conv, padded, [np.full((size, size, channels, 1), 1 / size**2, "float32")])
    rows, columns = (size / _inside(n, layer.extent) for n in (height, width))
    scale = np.outer(rows, columns)[None, :, :, None]
    return _primitive(keras.layers.Rescaling, f"{name}_inside", scale=scale.tolist())(z)


def _inside(length: int, extent: int) -> np.ndarray:
    """How many pixels of each window lie inside a line of `length` pixels."""
    centres = np.arange(0, length, extent)
    return np.minimum(centres + extent, length) - np.maximum(centres - extent + 1, 0)


def _interpolate(gates, size, name):
    """Nearest neighbours, axis by axis, as 1x1 convolutions of zeros and ones.

    XNNPACK takes no RESIZE_NEAREST_NEIGHBOR. With the rows as channels, repeating them
    is a matrix product, exact for any ratio of sizes.
    """
    turn = {"kind": keras.layers.Permute, "dims": (2, 3, 1)}  # h, w, c -> w, c, h -> c, h, w
    for axis, length in enumerate(size):
        gates = _primitive(name=f"{name}_turn{axis}", **turn)(gates)
        coarse = gates.shape[-1]
        nearest = np.arange(length) * coarse // length
        repeat = (np.arange(coarse)[:, None] == nearest).astype("float32")
        gates = pointwise(gates, repeat, [], f"{name}_repeat{axis}")
    return _primitive(name=f"{name}_turn2", **turn)(gates)
