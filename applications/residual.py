"""Residual networks: one specification, one block, one trunk.

ResNet: https://arxiv.org/abs/1512.03385; ResNeXt: https://arxiv.org/abs/1611.05431;
where attention enters: SE, section 3.3, and SK, table 1 (see `keras_se.layers`).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import keras

from ..layers import CONVS, GATES, GroupedConv2D, PaddedShortcut, ResidualTail
from .preprocessing import IMAGENET, Preprocessing

PLACEMENTS = ("standard", "pre", "post", "identity", "inner")


@dataclass(frozen=True)
class Variant:
    """One published form of a network, with what can be recomputed from it."""

    parameters: int  # trainable, with 1000 classes (10 for small pictures)
    gmacs: float  # 1e9 multiply-accumulates of one picture of the usual size
    changes: Mapping = field(default_factory=dict)  # fields of the specification


@dataclass(frozen=True)
class ResidualSpec:
    """One residual network; each field is a fact of the paper or of the released code.

    Stages are numbered as in the papers: the stem is stage 1, blocks start at stage 2.
    """

    name: str
    block: str  # "basic": two 3x3; "bottleneck": 1x1, 3x3, 1x1 to four times the width
    depths: tuple[int, ...]  # blocks per stage
    attention: str | Callable | None = None  # a name in GATES, or makes a layer
    conv: str | None = None  # a name in CONVS, in place of the block's first 3x3
    groups: int = 1
    group_width: int = 64  # channels per group, where the block's width is 64
    widths: tuple[int, ...] = (64, 128, 256, 512)
    stem: str = "7x7"  # "7x7" with stride 2; "3x3" without, for small pictures
    stem_pool: str | None = "pad"  # 3x3 stride 2: "pad" one zero; "ceil": none, round up
    stride_in: str = "3x3"  # "1x1" or "3x3": which convolution of a bottleneck strides
    shortcut: str = "projection"  # or "padded", without parameters
    attention_options: Mapping = field(default_factory=dict)
    conv_options: Mapping = field(default_factory=dict)
    conv_options_by_stage: Mapping[int, Mapping] = field(default_factory=dict)
    inner_activation: str | None = None  # between the last BatchNorm and the gate
    placement: str = "standard"  # one of PLACEMENTS
    stages: tuple[int, ...] | None = None  # the stages with attention; None means all
    variants: Mapping[str, Variant] = field(default_factory=dict)
    preprocess: Preprocessing = IMAGENET
    size: int = 224
    classes: int = 1000

    @property
    def default_variant(self) -> str:
        """The variant that is built when none is asked for."""
        return next(iter(self.variants))

    def customise(self, variant, ratio, attention, conv, placement, stages) -> "ResidualSpec":
        """This network with a caller's choices, checked; "default" and None keep its own."""
        variant = self.default_variant if variant is None else variant
        _check("variant", variant, self.variants)
        spec = replace(self, **self.variants[variant].changes)
        if attention != "default" and attention != spec.attention:
            spec = replace(spec, attention=attention, attention_options={}, inner_activation=None)
        if conv != "default" and conv != spec.conv:
            options = spec.conv_options if spec.conv is None else {}
            spec = replace(spec, conv=conv, conv_options=options, conv_options_by_stage={})
        if isinstance(spec.attention, str):
            _check("attention", spec.attention, GATES)
        elif spec.attention is not None and not callable(spec.attention):
            raise ValueError(
                "`attention` must be a name, None, or a callable that makes a layer. "
                f"Received: attention={attention!r}"
            )
        if spec.conv is not None:
            _check("conv", spec.conv, CONVS)
        return replace(
            spec._with_ratio(ratio),
            placement=_check("placement", placement, PLACEMENTS),
            stages=spec._check_stages(stages),
        )

    def _with_ratio(self, ratio) -> "ResidualSpec":
        if ratio is None:
            return self
        changes = {}
        if isinstance(self.attention, str) and _takes_ratio(GATES[self.attention]):
            changes["attention_options"] = {**self.attention_options, "ratio": ratio}
        if self.conv is not None and _takes_ratio(CONVS[self.conv]):
            changes["conv_options"] = {**self.conv_options, "ratio": ratio}
        if not changes:
            raise ValueError(
                f"Nothing in this network has a reduction ratio. Received: ratio={ratio}, "
                f"attention={self.attention!r}, conv={self.conv!r}"
            )
        return replace(self, **changes)

    def _check_stages(self, stages) -> tuple[int, ...]:
        every = tuple(range(2, 2 + len(self.depths)))
        if stages is None:
            return self.stages or every
        if not set(stages) <= set(every):
            raise ValueError(f"`stages` must be among {every}. Received: stages={stages}")
        return tuple(stages)


def _check(argument, value, valid):
    if value not in valid:
        raise ValueError(
            f"Unknown {argument} {value!r}; expected one of {list(valid)}. "
            f"Received: {argument}={value!r}"
        )
    return value


def _takes_ratio(layer_class) -> bool:
    return "ratio" in inspect.signature(layer_class).parameters


def residual_trunk(images, spec: ResidualSpec):
    """The last feature map of a residual network: (b, h/32, w/32, c) after a 7x7 stem."""
    x = _stem(images, spec)
    for stage, (depth, width) in enumerate(zip(spec.depths, spec.widths, strict=False), start=2):
        for index in range(1, depth + 1):
            strides = 2 if index == 1 and stage > 2 else 1
            x = _Block(spec, stage, index, width, strides)(x)
    return x


def _stem(x, spec):
    if spec.stem == "3x3":
        return _act(_norm(_conv(x, spec.widths[0], 3, name="stem_conv"), "stem_norm"), "stem_act")
    x = _act(_norm(_conv(x, 64, 7, 2, name="stem_conv"), "stem_norm"), "stem_act")
    # After a ReLU a zero pads a maximum as well as minus infinity does.
    pad = {"pad": 1, "ceil": ((0, 1), (0, 1))}[spec.stem_pool]
    x = keras.layers.ZeroPadding2D(pad, name="stem_pool_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)


class _Block:
    """One residual block: makes its layers when called, named after stage and index."""

    def __init__(self, spec, stage, index, width, strides):
        self.spec, self.stage, self.strides = spec, stage, strides
        self.name = f"stage{stage}_block{index}"
        self.filters = width * (4 if spec.block == "bottleneck" else 1)
        self.width = width * spec.group_width // 64 * spec.groups
        self.attends = stage in spec.stages

    def __call__(self, x):
        shortcut = self.gate_at("identity", self.shortcut(x))
        residual = self.gate_at("pre", x)
        residual = {"basic": self.basic, "bottleneck": self.bottleneck}[self.spec.block](residual)
        tail = ResidualTail(
            gate=self.gate("gate") if self.gated_at("standard") else None,
            inner_activation=self.spec.inner_activation,
            name=f"{self.name}_tail",
        )
        return self.gate_at("post", tail([residual, shortcut]))

    def basic(self, x):
        x = self.gate_at("inner", self.spatial_conv(x, self.strides, 1))
        return _conv(x, self.filters, 3, name=f"{self.name}_conv2")

    def bottleneck(self, x):
        first, second = (self.strides, 1) if self.spec.stride_in == "1x1" else (1, self.strides)
        x = self.conv_norm_act(x, 1, first, 1)
        x = self.gate_at("inner", self.spatial_conv(x, second, 2))
        return _conv(x, self.filters, 1, name=f"{self.name}_conv3")

    def spatial_conv(self, x, strides, index):
        """The 3x3 convolution that a layer of CONVS can replace."""
        spec = self.spec
        if spec.conv is None or not self.attends:
            return self.conv_norm_act(x, 3, strides, index)
        options = {
            "groups": spec.groups,
            **spec.conv_options,
            **spec.conv_options_by_stage.get(self.stage, {}),
        }
        name = f"{self.name}_conv{index}"
        return CONVS[spec.conv](self.width, strides=strides, name=name, **options)(x)

    def conv_norm_act(self, x, size, strides, index):
        groups = self.spec.groups if size > 1 else 1
        x = _conv(x, self.width, size, strides, groups, f"{self.name}_conv{index}")
        return _act(_norm(x, f"{self.name}_norm{index}"), f"{self.name}_act{index}")

    def shortcut(self, x):
        if self.strides == 1 and x.shape[-1] == self.filters:
            return x
        name = f"{self.name}_shortcut"
        if self.spec.shortcut == "padded":
            return PaddedShortcut(self.filters, self.strides, name=name)(x)
        return _norm(_conv(x, self.filters, 1, self.strides, name=f"{name}_conv"), f"{name}_norm")

    def gated_at(self, placement):
        return self.attends and self.spec.attention is not None and self.spec.placement == placement

    def gate_at(self, placement, x):
        return self.gate(f"{self.name}_gate")(x) if self.gated_at(placement) else x

    def gate(self, name):
        attention = self.spec.attention
        make = GATES[attention] if isinstance(attention, str) else attention
        return make(name=name, **self.spec.attention_options)


def _conv(x, filters, size, strides=1, groups=1, name=None):
    """A convolution without bias, padded by (size - 1) / 2 on every side as in PyTorch."""
    if strides > 1 and size > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    kind = GroupedConv2D if groups > 1 else keras.layers.Conv2D
    options = {"groups": groups} if groups > 1 else {}
    return kind(
        filters,
        size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
        **options,
    )(x)


def _norm(x, name):
    """BatchNorm as in the released networks: Keras' own epsilon, 1e-3, would be wrong."""
    return keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name)(x)


def _act(x, name):
    return keras.layers.Activation("relu", name=name)(x)
