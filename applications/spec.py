"""What every network's specification holds, and how a caller's choices change it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import keras

from ..layers import CONVS, GATES
from ..layers.gate_functions import GATE_FUNCTIONS
from ..names import expected
from .preprocessing import IMAGENET, Preprocessing

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

    A family subclasses it with its own facts and its `trunk`.
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

    def customise(
        self,
        variant: str | None = None,
        ratio: int | None = None,
        attention: str | Callable | None = "default",
        conv: str | None = "default",
        placement: str = "standard",
        stages: tuple[int, ...] | None = None,
        output_stride: int | None = None,
        gate: str | None = None,
    ) -> Self:
        """This network with a caller's choices; "default" and None keep its own.

        Raises:
            ValueError: for a choice that this network does not offer.
        """
        variant = next(iter(self.variants)) if variant is None else variant
        check_name("variant", variant, self.variants)
        spec = replace(self, **self.variants[variant].changes)
        spec = spec._with_attention(attention)._with_conv(conv)._with_ratio(ratio)._with_gate(gate)
        every = self.every_stage
        if stages is not None and not (isinstance(stages, Iterable) and set(stages) <= set(every)):
            raise ValueError(f"`stages` must be among {every}. Received: stages={stages}")
        if placement != "standard" and spec.attention is None:
            raise ValueError(
                f"Nothing in this network has a placement. Received: placement={placement!r}, "
                "attention=None"
            )
        if output_stride is not None:
            check_name("output_stride", output_stride, self.output_strides)
        return replace(
            spec,
            output_stride=output_stride,
            placement=check_name("placement", placement, self.PLACEMENTS),
            stages=spec.stages or every if stages is None else tuple(stages),
        )

    def computes_as(self, other: Self) -> bool:
        """Whether both are the same network, however their options are written."""
        return self._without_defaults() == other._without_defaults()

    def _without_defaults(self) -> Self:
        return replace(
            self,
            attention_options=_differing(self.attention_options, self.attention, GATES),
            conv_options=_differing(self.conv_options, self.conv, CONVS),
        )

    def _with_attention(self, attention) -> Self:
        if attention in ("default", self.attention):
            return self
        if isinstance(attention, str):
            check_name("attention", attention, GATES)
        elif isinstance(attention, keras.Layer) or not (attention is None or callable(attention)):
            raise ValueError(
                "`attention` must be a name, None, or a callable that makes a layer, such as the "
                f"layer's class: each block has its own. Received: attention={attention!r}"
            )
        return replace(self, attention=attention, attention_options={})

    def _with_conv(self, conv) -> Self:
        if conv in ("default", self.conv):
            return self
        if conv is not None:
            check_name("conv", conv, CONVS if self.TAKES_CONV else {})
        return replace(self, conv=conv, conv_options={} if self.conv else self.conv_options)

    def _with_ratio(self, ratio) -> Self:
        if ratio is None:
            return self
        changes: Facts = {}
        if isinstance(self.attention, str) and _takes("ratio", GATES[self.attention]):
            changes["attention_options"] = {**self.attention_options, "ratio": ratio}
        if self.conv is not None and _takes("ratio", CONVS[self.conv]):
            changes["conv_options"] = {**self.conv_options, "ratio": ratio}
        if not changes:
            raise ValueError(
                f"Nothing in this network has a reduction ratio. Received: ratio={ratio}, "
                f"attention={self.attention!r}, conv={self.conv!r}"
            )
        return replace(self, **changes)

    def _with_gate(self, gate) -> Self:
        if gate is None:
            return self
        check_name("gate", gate, GATE_FUNCTIONS)
        if not (isinstance(self.attention, str) and _takes("gate", GATES[self.attention])):
            raise ValueError(
                f"No named attention in this network has a gate function. Received: "
                f"gate={gate!r}, attention={self.attention!r}"
            )
        return replace(self, attention_options={**self.attention_options, "gate": gate})


def check_name(argument: str, value, valid, where: str = ""):
    """Return `value` if it is one of `valid`; otherwise list them, or near ones and `where`."""
    if value not in list(valid):  # a list cannot be looked up in a dict
        raise ValueError(
            f"Unknown {argument} {value!r}; {expected(value, valid, where)}. "
            f"Received: {argument}={value!r}"
        )
    return value


def _takes(argument: str, layer_class) -> bool:
    return argument in inspect.signature(layer_class).parameters


def _differing(options: Mapping, name, table: Mapping) -> Mapping:
    """The options that are not the defaults of the layer that a table has by this name."""
    if name not in table:
        return options
    defaults = inspect.signature(table[name]).parameters
    return {name: value for name, value in options.items() if value != defaults[name].default}
