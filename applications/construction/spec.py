"""What every network's specification holds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras

from ...layers import GATES
from ..preprocessing import IMAGENET, Preprocessing

Facts = dict[str, Any]  # fields of a specification that several rows share


@dataclass(frozen=True)
class Variant:
    """One published form of a network, with what can be recomputed from it."""

    parameters: int  # trainable, with the usual number of classes
    gmacs: float  # 1e9 multiply-accumulates of one picture of the usual size
    changes: Mapping = field(default_factory=dict)  # fields of the specification


@dataclass(frozen=True)
class TrunkSource:
    """Where a trunk's weights come from.

    Args:
        application: name of the constructor in keras.applications.
        rules: regular expressions and replacements that turn the path of one of our
            weights into the path there. Without any, both networks list their weights
            in the same order.
        options: further arguments of that constructor.
    """

    application: str
    rules: tuple[tuple[str, str], ...] = ()
    options: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSpec(ABC):
    """One network; each field is a fact of the paper or of the released code.

    A family subclasses it with its own facts and its `trunk`; `choices.customise` makes the
    network that a caller asks for of it.
    """

    PLACEMENTS: ClassVar[tuple[str, ...]] = ("standard",)  # where a gate can sit
    TAKES_CONV: ClassVar[bool] = False  # whether a layer of CONVS can replace a 3x3

    name: str
    attention: str | Callable | None = field(default=None, kw_only=True)  # a name in GATES
    attention_options: Mapping = field(default_factory=dict, kw_only=True)
    conv: str | None = field(default=None, kw_only=True)  # a name in CONVS
    conv_options: Mapping = field(default_factory=dict, kw_only=True)
    placement: str = field(default="standard", kw_only=True)
    stages: tuple[int, ...] = field(default=(), kw_only=True)  # with attention; () is all
    variants: Mapping[str, Variant] = field(default_factory=dict, kw_only=True)
    preprocess: Preprocessing = field(default=IMAGENET, kw_only=True)
    size: int = field(default=224, kw_only=True)  # of the usual picture, in pixels
    min_size: int = field(default=32, kw_only=True)  # of the smallest picture
    classes: int = field(default=1000, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)  # before the classifier
    output_stride: int | None = field(default=None, kw_only=True)  # None: the network's own
    imagenet_trunk: TrunkSource | None = field(default=None, kw_only=True)

    @abstractmethod
    def trunk(self, images):
        """Map symbolic images (b, h, w, c) to the last feature map."""

    def head(self, x):
        """Map the last feature map to the vector that is classified."""
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        return keras.layers.Dropout(self.dropout, name="dropout")(x) if self.dropout else x

    @property
    def default_variant(self) -> str:
        """The one that is built when none is asked for."""
        return next(iter(self.variants))

    @property
    def every_stage(self) -> tuple[int, ...]:
        """The stages that can have attention, numbered as in the papers."""
        return ()

    @property
    def output_strides(self) -> tuple[int, ...]:
        """What `output_stride` can be: reached by dilating instead of striding."""
        return ()

    def gate(self, name: str):
        """Make the network's gate as a layer called `name`."""
        make = GATES[self.attention] if isinstance(self.attention, str) else self.attention
        if make is None:
            raise ValueError(f"{self.name} has no attention")
        return make(name=name, **self.attention_options)

    def gated(self, x, name: str):
        """A feature map behind a gate called `name`."""
        gate = self.gate(name)
        gated = gate(x)
        if gated.shape != x.shape:
            raise ValueError(
                f"`attention` must make a layer that keeps the shape of a feature map. "
                f"Received: {type(gate).__name__}, {x.shape} to {gated.shape}"
            )
        return gated
