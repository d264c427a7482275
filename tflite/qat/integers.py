"""The arithmetic of an int8 file, in Keras: what a quantized model computes at inference.

Fake quantization sums rounded floats, the file sums integers. The sums differ in their last
bits, and biases are rounded in the file alone. A sum on the border of two steps then falls to
the other side, and within some ten layers that grows to the size of the rounding itself: deep
networks ended 24 to 30 dB from their file. So the sums are made of integers here too.
"""

from dataclasses import replace

import keras
from keras import ops

from .fake_quant import FakeQuant
from .kernel import Kernel, as_double
from .layers import QuantizedDense, QuantizedDepthwiseConv2D, QuantizedRescaling, sums_of
from .placement import SAME_SCALE, SAME_SCALE_MANY, activation_name
from .tensors import Linear, Stored, Sums, Terms, Unrounded, summed, value

_CONVOLUTIONS = (keras.layers.Conv2D, QuantizedDepthwiseConv2D, QuantizedDense)
_SIGNS = {keras.layers.Add: 1.0, keras.layers.Subtract: -1.0}
_QMIN, _QMAX = -128, 127


def run(operation, *args, **kwargs):
    """Compute one operation of a quantized model as its file does.

    Args:
        operation: layer or `keras.ops` operation.
        args, kwargs: as the layer takes them, where tensors may be `Stored`, `Sums`, `Terms` or
            `Linear`.

    Returns:
        A tensor, or one of these.
    """
    x = args[0]
    if isinstance(operation, FakeQuant):
        if isinstance(x, Unrounded):
            return _rounded(operation, summed(x))
        return _stored(operation, operation(value(x), **kwargs))
    if isinstance(operation, _CONVOLUTIONS) and isinstance(x, Stored):
        kernel = Kernel.of(operation)
        return Linear(sums_of(operation, x.whole, kernel.whole), x.step, kernel)
    if isinstance(operation, keras.layers.BatchNormalization) and isinstance(x, Linear):
        return replace(x, kernel=x.kernel.folded(operation))
    if activation_name(operation) == "relu" and isinstance(x, Unrounded):
        return replace(summed(x), low=0.0, high=getattr(operation, "max_value", None))
    if isinstance(operation, keras.layers.Multiply) and all(isinstance(v, Stored) for v in x):
        a, b = x
        return Sums(a.whole * b.whole, (a.step, b.step))
    if isinstance(operation, QuantizedRescaling) and isinstance(x, Stored):
        return Sums(x.whole * operation.whole, (x.step, operation.step))
    if type(operation) in _SIGNS and all(isinstance(v, Stored) for v in x):
        first, second = x
        return Terms(first, second, _SIGNS[type(operation)])
    source = keras.tree.flatten(x)[0]
    if isinstance(operation, (*SAME_SCALE, *SAME_SCALE_MANY)) and isinstance(source, Stored):
        whole = operation(*keras.tree.map_structure(lambda stored: stored.whole, args), **kwargs)
        return replace(source, whole=_nearest(whole + source.zero) - source.zero)
    return operation(*keras.tree.map_structure(value, args), **kwargs)


def output_step(layer: FakeQuant):
    """Step and zero point of an int8 tensor, as the converter computes them from a range."""
    low, high = (as_double(end) for end in layer.bounds())
    step = (high - low) / 255
    return ops.cast(step, "float32"), ops.cast(ops.round(_QMIN - low / step), "float32")


def _rounded(layer: FakeQuant, x: Sums | Terms) -> Stored:
    """To int8, clipped by its range and by the activation."""
    step, zero = output_step(layer)
    least, most = _QMIN - zero, _QMAX - zero
    if x.low is not None:
        least = ops.maximum(least, ops.round(x.low / step))
    if x.high is not None:
        most = ops.minimum(most, ops.round(x.high / step))
    return Stored(ops.clip(x.rounded(step), least, most), step, zero)


def _stored(layer: FakeQuant, rounded) -> Stored:
    step, zero = output_step(layer)
    return Stored(ops.round(rounded / step), step, zero)


def _nearest(stored):
    """Of the mean of stored values (average pooling), halves away from zero as the kernel does."""
    return ops.sign(stored) * ops.floor(ops.abs(stored) + 0.5)
