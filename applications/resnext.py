"""ResNeXt, SE-ResNeXt and CBAM-ResNeXt for ImageNet: one row per network.

References:
    ResNeXt: Xie, Girshick, Dollar, Tu, He, https://arxiv.org/abs/1611.05431
    SE-ResNeXt: Hu et al., https://arxiv.org/abs/1709.01507, https://github.com/hujie-frank/SENet
    CBAM: Woo et al., https://arxiv.org/abs/1807.06521
    "D" and "T" networks: Wightman, https://github.com/huggingface/pytorch-image-models

All stride in the grouped 3x3. Variants: "original" has the authors' stem pool, without
padding; "v1.5" has PyTorch's. The first of a row is its default.
"""

from .blocks.residual import DEEP, TIERED, ResidualSpec
from .construction.constructor import constructor
from .construction.spec import Facts, Variant
from .decoding import decode_predictions
from .preprocessing import IMAGENET

BOTTLENECK = "bottleneck"
X32_4: Facts = {"groups": 32, "group_width": 4}
X64_4: Facts = {"groups": 64, "group_width": 4}
X32_8: Facts = {"groups": 32, "group_width": 8}
ORIGINAL = {"stem_pool": "ceil"}
ROUNDED = {"attention_options": {"divisor": 8}}  # timm: multiples of 8

# fmt: off
_ROWS = (
    # name, block, depths, groups, attention; per variant: trainable parameters, GMACs, changes
    ResidualSpec("ResNeXt50", BOTTLENECK, (3, 4, 6, 3), **X32_4,
                 variants={"v1.5": Variant(25_028_904, 4.2305)}),
    ResidualSpec("ResNeXt101", BOTTLENECK, (3, 4, 23, 3), **X32_4,
                 variants={"v1.5": Variant(44_177_704, 7.9700)}),
    ResidualSpec("SEResNeXt26", BOTTLENECK, (2, 2, 2, 2), **X32_4, attention="se",
                 variants={"original": Variant(16_790_280, 2.4721, ORIGINAL),
                           "v1.5": Variant(16_790_280, 2.4721, ROUNDED)}),
    ResidualSpec("SEResNeXt26D", BOTTLENECK, (2, 2, 2, 2), **X32_4, **DEEP, attention="se",
                 variants={"v1.5": Variant(16_809_512, 2.7117, ROUNDED)}),
    ResidualSpec("SEResNeXt26T", BOTTLENECK, (2, 2, 2, 2), **X32_4, **DEEP, **TIERED,
                 attention="se", variants={"v1.5": Variant(16_806_976, 2.6801, ROUNDED)}),
    ResidualSpec("SEResNeXt50", BOTTLENECK, (3, 4, 6, 3), **X32_4, attention="se",
                 variants={"v1.5": Variant(27_559_896, 4.2330, ROUNDED),
                           "original": Variant(27_559_896, 4.2330, ORIGINAL)}),
    ResidualSpec("SEResNeXt101", BOTTLENECK, (3, 4, 23, 3), **X32_4, attention="se",
                 variants={"v1.5": Variant(48_955_416, 7.9747, ROUNDED),
                           "original": Variant(48_955_416, 7.9747, ORIGINAL)}),
    ResidualSpec("SEResNeXt101_64x4d", BOTTLENECK, (3, 4, 23, 3), **X64_4, attention="se",
                 variants={"v1.5": Variant(88_232_984, 15.4650, ROUNDED)}),
    ResidualSpec("SEResNeXt101_32x8d", BOTTLENECK, (3, 4, 23, 3), **X32_8, attention="se",
                 variants={"v1.5": Variant(93_569_048, 16.4188, ROUNDED)}),
    ResidualSpec("SEResNeXt101D_32x8d", BOTTLENECK, (3, 4, 23, 3), **X32_8, **DEEP,
                 attention="se", variants={"v1.5": Variant(93_588_280, 16.6584, ROUNDED)}),
    ResidualSpec("CBAMResNeXt50", BOTTLENECK, (3, 4, 6, 3), **X32_4, attention="cbam",
                 variants={"v1.5": Variant(27_561_496, 4.2369)}),
)
# fmt: on
SPECS = {row.name: row for row in _ROWS}

ResNeXt50 = constructor(SPECS["ResNeXt50"], "ResNeXt-50 32x4d (Xie et al.), without attention.")
ResNeXt101 = constructor(SPECS["ResNeXt101"], "ResNeXt-101 32x4d (Xie et al.), without attention.")
SEResNeXt26 = constructor(SPECS["SEResNeXt26"], "SE-ResNeXt-26 32x4d (timm).")
SEResNeXt26D = constructor(SPECS["SEResNeXt26D"], "SE-ResNeXt-26-D 32x4d: a deep stem (timm).")
SEResNeXt26T = constructor(SPECS["SEResNeXt26T"], "SE-ResNeXt-26-T 32x4d: a tiered stem (timm).")
SEResNeXt50 = constructor(SPECS["SEResNeXt50"], "SE-ResNeXt-50 32x4d (Hu et al., table 1).")
SEResNeXt101 = constructor(SPECS["SEResNeXt101"], "SE-ResNeXt-101 32x4d (Hu et al., table 2).")
SEResNeXt101_64x4d = constructor(SPECS["SEResNeXt101_64x4d"], "SE-ResNeXt-101 64x4d (Gluon).")
SEResNeXt101_32x8d = constructor(SPECS["SEResNeXt101_32x8d"], "SE-ResNeXt-101 32x8d (timm).")
SEResNeXt101D_32x8d = constructor(
    SPECS["SEResNeXt101D_32x8d"], "SE-ResNeXt-101-D 32x8d: a deep stem (timm)."
)
CBAMResNeXt50 = constructor(SPECS["CBAMResNeXt50"], "CBAM-ResNeXt-50 32x4d (Woo et al., table 4).")

preprocess_input = IMAGENET

__all__ = [*SPECS, "SPECS", "decode_predictions", "preprocess_input"]
