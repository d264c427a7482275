"""Attention layers for feature maps (batch, height, width, channels).

`GATES` keep the shape and can follow any convolution; `CONVS` replace a 3x3
convolution. One line in a table makes a layer available by name to every network.
"""

from .batch_norm import BatchNorm
from .cbam import CBAM
from .channel_attention import ChannelAttention
from .eca import EfficientChannelAttention
from .grouped_conv import GroupedConv2D
from .padded_shortcut import PaddedShortcut
from .residual_tail import ResidualTail
from .selective_kernel import SelectiveKernelConv2D
from .spatial_attention import SpatialAttention
from .squeeze_excite import SqueezeExcite

GATES = {
    "se": SqueezeExcite,
    "cbam": CBAM,
    "channel": ChannelAttention,
    "spatial": SpatialAttention,
    "eca": EfficientChannelAttention,
}

CONVS = {
    "sk": SelectiveKernelConv2D,
}

__all__ = [
    "CBAM",
    "CONVS",
    "GATES",
    "BatchNorm",
    "ChannelAttention",
    "EfficientChannelAttention",
    "GroupedConv2D",
    "PaddedShortcut",
    "ResidualTail",
    "SelectiveKernelConv2D",
    "SpatialAttention",
    "SqueezeExcite",
]
