"""The arithmetic of an int8 file, in Keras: what a quantized model computes at inference.

Fake quantization sums rounded floats, the file sums integers. The sums differ in their last
bits, and biases are rounded in the file alone. A sum on the border of two steps then falls to
the other side, and within some ten layers that grows to the size of the rounding itself: deep
networks ended 24 to 30 dB from their file. So the sums are made of integers here too.
"""

from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from .fake_quant import FakeQuant
from .kernel import Kernel, as_double
from .layers import QuantizedDense, QuantizedDepthwiseConv2D, sums_of
from .placement import SAME_SCALE, SAME_SCALE_MANY, activation_name

_CONVOLUTIONS = (keras.layers.Conv2D, QuantizedDepthwiseConv2D, QuantizedDense)
_SIGNS = {keras.layers.Add: 1.0, keras.layers.Subtract: -1.0}
_QMIN, _QMAX = -128, 127


@dataclass(frozen=True)
class Stored:
    """A tensor as the file stores it.

    Attributes:
        whole: (b, ...), stored values less the zero point, float32.
        step: scalar, what one of them means, float32; `whole * step` is the value.
        zero: scalar, the zero point, float32.
    """

    whole: Any
    step: Any
    zero: Any

    @property
    def value(self):
        return self.whole * self.step


@dataclass(frozen=True)
class Sums:
    """What an operator sums up, before it is rounded to int8.

    Attributes:
        whole: (b, ..., c), float32.
        steps: the two factors of what one of them means, float32: scalar, and scalar or (c,).
        low, high: where an activation clips the values; None where none does.
    """

    whole: Any
    steps: tuple[Any, Any]
    low: float | None = None
    high: float | None = None

    @property
    def value(self):
        return _clipped(self.whole * (self.steps[0] * self.steps[1]), self)

    def rounded(self, step):
        """In whole steps of the result: the one float32 product that XNNPACK makes."""
        return ops.round(self.whole * (self.steps[0] * self.steps[1] / step))


@dataclass(frozen=True)
class Terms:
    """Two tensors that are added or subtracted.

    Attributes:
        first, second: the tensors.
        sign: of the second, 1 or -1.
        low, high: where an activation clips the values; None where none does.
    """

    first: Stored
    second: Stored
    sign: float
    low: float | None = None
    high: float | None = None

    @property
    def value(self):
        return _clipped(self.first.value + self.sign * self.second.value, self)

    def rounded(self, step):
        """In whole steps of the result: XNNPACK multiplies by integers of 21 bits, and shifts.

        `xnn_init_qs8_add_minmax_scalar_params`, src/microparams-init.c of google/XNNPACK.
        """
        scales = [as_double(term.step / step) for term in (self.first, self.second)]
        unit = 2.0 ** (20 - ops.floor(ops.log2(ops.maximum(*scales))))
        first, second = (ops.round(scale * unit) for scale in scales)
        total = as_double(self.first.whole) * first
        total = total + as_double(self.second.whole) * (self.sign * second)
        return ops.cast(ops.floor(total / unit + 0.5), "float32")


@dataclass(frozen=True)
class Linear:
    """A convolution of stored values whose BatchNorm, if there is one, is still to come.

    Attributes:
        whole: (b, ..., c), the integer sums without bias, float32.
        step: of the input.
        kernel: of the convolution.
    """

    whole: Any
    step: Any
    kernel: Kernel

    @property
    def value(self):
        return self.sums.value

    @property
    def sums(self) -> Sums:
        """With the bias."""
        kernel = self.kernel
        whole, bias = self.whole * kernel.signs, kernel.whole_bias(self.step)
        if bias is not None:
            whole = whole + ops.cast(bias, "float32")
        return Sums(whole, (self.step, kernel.step))


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
        if isinstance(x, (Linear, Sums, Terms)):
            return _rounded(operation, _sums(x))
        return _stored(operation, operation(value(x), **kwargs))
    if isinstance(operation, _CONVOLUTIONS) and isinstance(x, Stored):
        kernel = Kernel.of(operation)
        return Linear(sums_of(operation, x.whole, kernel.whole), x.step, kernel)
    if isinstance(operation, keras.layers.BatchNormalization) and isinstance(x, Linear):
        return replace(x, kernel=x.kernel.folded(operation))
    if activation_name(operation) == "relu" and isinstance(x, (Linear, Sums, Terms)):
        return replace(_sums(x), low=0.0, high=getattr(operation, "max_value", None))
    if isinstance(operation, keras.layers.Multiply) and all(isinstance(v, Stored) for v in x):
        a, b = x
        return Sums(a.whole * b.whole, (a.step, b.step))
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


def value(x):
    """The tensor in float behind what `run` returns."""
    return x.value if isinstance(x, (Stored, Sums, Terms, Linear)) else x


def _clipped(x, limits: Sums | Terms):
    return x if limits.low is None else ops.clip(x, limits.low, limits.high or float("inf"))


def _sums(x: Linear | Sums | Terms) -> Sums | Terms:
    return x.sums if isinstance(x, Linear) else x
