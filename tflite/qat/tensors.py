"""Tensors and sums of an int8 file: whole numbers, and what one of them means."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from .kernel import Kernel, as_double


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


Unrounded = Linear | Sums | Terms


def value(x):
    """The tensor in float behind any of these; other tensors as they are."""
    return x.value if isinstance(x, (Stored, Sums, Terms, Linear)) else x


def summed(x: Unrounded) -> Sums | Terms:
    """With the bias of a convolution."""
    return x.sums if isinstance(x, Linear) else x


def _clipped(x, limits: Sums | Terms):
    return x if limits.low is None else ops.clip(x, limits.low, limits.high or float("inf"))
