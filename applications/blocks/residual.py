"""Residual networks: one specification, one block, one trunk.

ResNet: https://arxiv.org/abs/1512.03385; ResNeXt: https://arxiv.org/abs/1611.05431;
where attention enters: SE, section 3.3, and SK, table 1 (see `keras_se.layers`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras

from ...layers import (
    CONVS,
    BatchNorm,
    DilatedAverage,
    GroupedConv2D,
    PaddedShortcut,
    ResidualTail,
)
from ..construction.spec import Facts, NetworkSpec

# He et al., bag of tricks, https://arxiv.org/abs/1812.01187: ResNet-D; its stem in tiers.
DEEP: Facts = {"stem": "deep", "shortcut": "average"}
TIERED: Facts = {"stem_widths": (24, 32, 64)}


@dataclass(frozen=True)
class ResidualSpec(NetworkSpec):
    """One residual network.

    Stages are numbered as in the papers: the stem is stage 1, blocks start at stage 2.
    """

    PLACEMENTS = ("standard", "pre", "post", "identity", "inner")
    TAKES_CONV = True

    block: str  # "basic": two 3x3; "bottleneck": 1x1, 3x3, 1x1 to four times the width
    depths: tuple[int, ...]  # blocks per stage
    groups: int = 1
    group_width: int = 64  # channels per group, where the block's width is 64
    first_reduction: int = 1  # a bottleneck's first 1x1 is that much narrower than its 3x3
    widths: tuple[int, ...] = (64, 128, 256, 512)
    stem: str = "7x7"  # stride 2; "deep": three 3x3; "3x3": one, for small pictures
    stem_widths: tuple[int, ...] = (32, 32, 64)  # of a deep stem
    stem_pool: str | None = "pad"  # 3x3 stride 2: "pad" one zero; "ceil": none, round up
    stride_in: str = "3x3"  # "1x1" or "3x3": which convolution of a bottleneck strides
    shortcut: str = "projection"  # "average": 2x2 pool first; "padded": no parameters
    shortcut_size: int = 1  # of the projection, where it strides
    conv_options_by_stage: Mapping[int, Mapping] = field(default_factory=dict)
    inner_activation: str | None = None  # between the last BatchNorm and the gate

    @property
    def every_stage(self):
        return tuple(range(2, 2 + len(self.depths)))

    @property
    def output_strides(self):
        return (1, 2, 4) if self.stem == "3x3" else (8, 16, 32)

    def trunk(self, images):
        """The last feature map: (b, h/32, w/32, c) after a 7x7 or deep stem.

        Past `output_stride` a stage dilates instead of striding, with the same weights.
        """
        x = _stem(images, self)
        stride, dilation = (1 if self.stem == "3x3" else 4), 1
        for stage, depth, width in zip(self.every_stage, self.depths, self.widths, strict=False):
            shrink = 2 if stage > 2 else 1
            before = dilation
            if self.output_stride is not None and stride * shrink > self.output_stride:
                shrink, dilation = 1, dilation * shrink
            stride *= shrink
            x = _Block(self, stage, 1, width, shrink, (before, dilation))(x)
            for index in range(2, depth + 1):
                x = _Block(self, stage, index, width, 1, (dilation, dilation))(x)
        return x


def _stem(x, spec):
    if spec.stem == "3x3":
        return _act(_norm(_conv(x, spec.widths[0], 3, name="stem_conv"), "stem_norm"), "stem_act")
    if spec.stem == "deep":
        for index, width in enumerate(spec.stem_widths, start=1):
            x = _conv(x, width, 3, 2 if index == 1 else 1, name=f"stem_conv{index}")
            x = _act(_norm(x, f"stem_norm{index}"), f"stem_act{index}")
    else:
        x = _act(_norm(_conv(x, 64, 7, 2, name="stem_conv"), "stem_norm"), "stem_act")
    # After a ReLU a zero pads a maximum as well as minus infinity does.
    pad = {"pad": 1, "ceil": ((0, 1), (0, 1))}[spec.stem_pool]
    x = keras.layers.ZeroPadding2D(pad, name="stem_pool_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)


class _Block:
    """One residual block: makes its layers when called, named after stage and index."""

    def __init__(self, spec, stage, index, width, strides, dilations):
        self.spec, self.stage, self.strides = spec, stage, strides
        self.dilation, self.last_dilation = dilations  # of the first and the last 3x3
        self.starts_stage = index == 1 and stage > 2
        self.name = f"stage{stage}_block{index}"
        self.filters = width * (4 if spec.block == "bottleneck" else 1)
        self.width = width * spec.group_width // 64 * spec.groups
        self.attends = stage in spec.stages

    def __call__(self, x):
        shortcut = self.gate_at("identity", self.shortcut(x))
        residual = self.gate_at("pre", x)
        residual = {"basic": self.basic, "bottleneck": self.bottleneck}[self.spec.block](residual)
        tail = ResidualTail(
            gate=self.spec.gate("gate") if self.gated_at("standard") else None,
            inner_activation=self.spec.inner_activation if self.spec.attention else None,
            name=f"{self.name}_tail",
        )
        return self.gate_at("post", tail([residual, shortcut]))

    def basic(self, x):
        x = self.gate_at("inner", self.spatial_conv(x, self.strides, 1))
        return _conv(x, self.filters, 3, dilation=self.last_dilation, name=f"{self.name}_conv2")

    def bottleneck(self, x):
        first, second = (self.strides, 1) if self.spec.stride_in == "1x1" else (1, self.strides)
        x = self.conv_norm_act(x, 1, first, 1, self.width // self.spec.first_reduction)
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
            **({"dilation": self.dilation} if self.dilation > 1 else {}),
        }
        name = f"{self.name}_conv{index}"
        return CONVS[spec.conv](self.width, strides=strides, name=name, **options)(x)

    def conv_norm_act(self, x, size, strides, index, width=None):
        groups = self.spec.groups if size > 1 else 1
        dilation = self.dilation if size > 1 else 1
        name = f"{self.name}_conv{index}"
        x = _conv(x, width or self.width, size, strides, groups, dilation, name)
        return _act(_norm(x, f"{self.name}_norm{index}"), f"{self.name}_act{index}")

    def shortcut(self, x):
        if self.strides == 1 and x.shape[-1] == self.filters:
            return x
        name = f"{self.name}_shortcut"
        if self.spec.shortcut == "padded":
            return PaddedShortcut(self.filters, self.strides, name=name)(x)
        size, strides = (self.spec.shortcut_size if self.starts_stage else 1), self.strides
        if self.spec.shortcut == "average" and self.starts_stage:
            x, strides = self.average(x, f"{name}_pool"), 1
        dilation = self.dilation if size > 1 else 1
        x = _conv(x, self.filters, size, strides, dilation=dilation, name=f"{name}_conv")
        return _norm(x, f"{name}_norm")

    def average(self, x, name):
        """The mean of 2x2 pixels; where the stage dilates instead of striding, at every pixel."""
        if self.strides > 1:
            return keras.layers.AveragePooling2D(2, 2, padding="same", name=name)(x)
        return DilatedAverage(self.dilation, name=name)(x)

    def gated_at(self, placement):
        return self.attends and self.spec.attention is not None and self.spec.placement == placement

    def gate_at(self, placement, x):
        return self.spec.gated(x, f"{self.name}_gate") if self.gated_at(placement) else x


def _conv(x, filters, size, strides=1, groups=1, dilation=1, name=None):
    """A convolution without bias, padded by (size - 1) / 2 on every side as in PyTorch."""
    if strides > 1 and size > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    kind = GroupedConv2D if groups > 1 else keras.layers.Conv2D
    options = {"groups": groups} if groups > 1 else {}
    return kind(
        filters,
        size,
        strides=strides,
        dilation_rate=dilation,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_uniform",  # drawn three times as fast as he_normal
        name=name,
        **options,
    )(x)


def _norm(x, name):
    """BatchNorm as in the released networks: Keras' own epsilon, 1e-3, would be wrong."""
    return BatchNorm(epsilon=1e-5, momentum=0.9, name=name)(x)


def _act(x, name):
    return keras.layers.Activation("relu", name=name)(x)
