"""Networks of parallel branches, written as data: steps that apply themselves in order.

Inception: https://arxiv.org/abs/1409.4842; with BatchNorm: https://arxiv.org/abs/1502.03167.
Where SE enters: Hu et al., https://arxiv.org/abs/1709.01507, figure 2: after a module's
concatenation, and in a residual module before the addition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import keras

from ..construction.spec import NetworkSpec

# Zeros around a map, in place of Keras' own padding. After a ReLU a zero pads a maximum
# as well as minus infinity does.
ZEROS = {"pad": 1, "pad3": 3, "ceil": ((0, 1), (0, 1))}


class Step(Protocol):
    """Something that a network does to a feature map."""

    def apply(self, x, name: str, spec: "BranchedSpec"):
        """Make the step's layers, called after `name`, and apply them."""


@dataclass(frozen=True)
class Conv:
    """Convolution without bias, BatchNorm, ReLU."""

    filters: int
    size: int | tuple[int, int] = 1
    strides: int = 1
    padding: str = "same"  # "valid"; "pad" or "pad3": 1 or 3 zeros on every side

    def apply(self, x, name, spec):
        x, padding = _pad(x, self.padding, name)
        x = keras.layers.Conv2D(
            self.filters,
            self.size,
            self.strides,
            padding,
            use_bias=False,
            kernel_initializer=spec.kernel_initializer,
            name=f"{name}_conv",
        )(x)
        x = keras.layers.BatchNormalization(**spec.norm, name=f"{name}_norm")(x)
        return keras.layers.Activation("relu", name=f"{name}_act")(x)


@dataclass(frozen=True)
class Pool:
    """A 3x3 pool."""

    kind: str  # "avg" or "max"
    strides: int = 1
    padding: str = "same"  # "valid"; "pad"; "ceil": no padding, but round the size up

    def apply(self, x, name, spec):
        pool = {"avg": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}[self.kind]
        x, padding = _pad(x, self.padding, name)
        return pool(3, self.strides, padding, name=f"{name}_pool")(x)


@dataclass(frozen=True)
class Fork:
    """Branches side by side, each a sequence of steps, concatenated."""

    branches: tuple[tuple[Step, ...], ...]

    def apply(self, x, name, spec):
        outputs = [
            _in_order(branch, x, f"{name}_branch{index}_", spec)
            for index, branch in enumerate(self.branches, start=1)
        ]
        return keras.layers.Concatenate(name=name)(outputs)


@dataclass(frozen=True)
class Gate:
    """The network's attention, where it has any."""

    def apply(self, x, name, spec):
        return x if spec.attention is None else spec.gated(x, name)


@dataclass(frozen=True)
class Residual:
    """x + scale gate(conv_1x1(branches of x)); the convolution has a bias, no BatchNorm."""

    branches: tuple[tuple[Step, ...], ...]
    scale: float
    activation: str = "relu"

    def apply(self, x, name, spec):
        residual = Fork(self.branches).apply(x, f"{name}_mixed", spec)
        project = keras.layers.Conv2D(
            x.shape[-1], 1, kernel_initializer=spec.kernel_initializer, name=f"{name}_conv"
        )
        residual = Gate().apply(project(residual), f"{name}_gate", spec)
        residual = keras.layers.Rescaling(self.scale, name=f"{name}_scale")(residual)
        x = keras.layers.Add(name=f"{name}_add")([x, residual])
        return keras.layers.Activation(self.activation, name=name)(x)


@dataclass(frozen=True)
class BranchedSpec(NetworkSpec):
    """A network that is a sequence of named steps."""

    layers: tuple[tuple[str, Step], ...]
    norm: Mapping = field(default_factory=dict)  # BatchNorm's options
    kernel_initializer: str = "glorot_uniform"

    def trunk(self, images):
        """The last feature map, with about 1/32 of the picture's height and width."""
        x = images
        for name, step in self.layers:
            x = step.apply(x, name, self)
        return x


def gated(blocks: Mapping[str, Fork]) -> tuple[tuple[str, Step], ...]:
    """Each block, followed by its gate."""
    pairs = (((name, block), (f"{name}_gate", Gate())) for name, block in blocks.items())
    return tuple(step for pair in pairs for step in pair)


def _in_order(steps, x, name, spec):
    for index, step in enumerate(steps, start=1):
        x = step.apply(x, f"{name}{index}", spec)
    return x


def _pad(x, padding, name):
    """Put zeros around `x` where Keras has no word for it; what remains for Keras."""
    if padding not in ZEROS:
        return x, padding
    return keras.layers.ZeroPadding2D(ZEROS[padding], name=f"{name}_pad")(x), "valid"
