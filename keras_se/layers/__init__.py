"""Attention layers for feature maps (batch, height, width, channels).

`GATES` keep the shape and can follow any convolution; `CONVS` replace a 3x3
convolution. One line in a table makes a layer available by name to every network.
"""

from .bam import BAM
from .batch_norm import BatchNorm
from .cbam import CBAM
from .channel_attention import ChannelAttention
from .concurrent_squeeze_excite import ConcurrentSqueezeExcite
from .coordinate_attention import CoordinateAttention
from .dilated_average import DilatedAverage
from .eca import EfficientChannelAttention
from .effective_squeeze_excite import EffectiveSqueezeExcite
from .gather_excite import GatherExcite
from .global_context import GlobalContext
from .grouped_conv import GroupedConv2D
from .padded_shortcut import PaddedShortcut
from .residual_tail import ResidualTail
from .selective_kernel import SelectiveKernelConv2D
from .spatial_attention import SpatialAttention
from .spatial_squeeze_excite import SpatialSqueezeExcite
from .spatial_transformer import SpatialTransformer
from .squeeze_excite import SqueezeExcite

GATES = {
    "se": SqueezeExcite,
    "cbam": CBAM,
    "channel": ChannelAttention,
    "spatial": SpatialAttention,
    "eca": EfficientChannelAttention,
    "ese": EffectiveSqueezeExcite,
    "sse": SpatialSqueezeExcite,
    "scse": ConcurrentSqueezeExcite,
    "ge": GatherExcite,
    "gc": GlobalContext,
    "coord": CoordinateAttention,
    "bam": BAM,
}

CONVS = {
    "sk": SelectiveKernelConv2D,
}

__all__ = [
    "BAM",
    "CBAM",
    "CONVS",
    "GATES",
    "BatchNorm",
    "ChannelAttention",
    "ConcurrentSqueezeExcite",
    "CoordinateAttention",
    "DilatedAverage",
    "EffectiveSqueezeExcite",
    "EfficientChannelAttention",
    "GatherExcite",
    "GlobalContext",
    "GroupedConv2D",
    "PaddedShortcut",
    "ResidualTail",
    "SelectiveKernelConv2D",
    "SpatialAttention",
    "SpatialSqueezeExcite",
    "SpatialTransformer",
    "SqueezeExcite",
]
