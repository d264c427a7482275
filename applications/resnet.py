"""ResNet, SE-ResNet, CBAM-ResNet and SKNet for ImageNet: one row per network.

References:
    ResNet: He, Zhang, Ren, Sun, https://arxiv.org/abs/1512.03385
    SE-ResNet: Hu et al., https://arxiv.org/abs/1709.01507, https://github.com/hujie-frank/SENet
    CBAM: Woo et al., https://arxiv.org/abs/1807.06521, https://github.com/Jongchan/attention-module
    SKNet: Li et al., https://arxiv.org/abs/1903.06586, https://github.com/implus/SKNet
    SK-ResNet: Wightman, https://github.com/huggingface/pytorch-image-models

Variants: "original" is what the authors released in Caffe (stride in a bottleneck's
first 1x1, a stem pool without padding); "v1.5" strides in the 3x3, as PyTorch's
networks do; "keras" is the graph of keras.applications' ResNets, whose weights it can
take. The first of a row is its default: the one with the best published weights.

"D" networks have a stem of three 3x3 convolutions and a shortcut that averages before it
projects (https://arxiv.org/abs/1812.01187); in "T" networks the stem grows step by step.
"""

from .blocks.residual import DEEP, TIERED, ResidualSpec
from .construction.constructor import constructor
from .construction.spec import Facts, TrunkSource, Variant
from .decoding import decode_predictions
from .preprocessing import IMAGENET, Preprocessing

BASIC, BOTTLENECK = "basic", "bottleneck"
ORIGINAL = {"stride_in": "1x1", "stem_pool": "ceil"}
ORIGINAL_BASIC = {"stem_pool": "ceil", "inner_activation": "relu"}
KERAS_NAMES = (  # from our weights' paths to those in keras.applications
    (r"^stem_conv/", "conv1_conv/"),
    (r"^stem_norm/", "conv1_bn/"),
    (r"^stage(\d)_block(\d+)_", r"conv\1_block\2_"),
    (r"shortcut_", "0_"),
    (r"tail/norm/", "3_norm/"),
    (r"(conv|norm)(\d)/", r"\2_\1/"),
    (r"norm/", "bn/"),
)
KERAS_PIXELS = Preprocessing((103.939, 116.779, 123.68), (1, 1, 1), "bgr")
ROUNDED = {"attention_options": {"divisor": 8}}  # timm: multiples of 8
SK: Facts = {"conv": "sk", "groups": 32, "group_width": 4}
SPLIT = {"split_input": True, "ratio": 8, "divisor": 16, "min_width": 16}
SK_SPLIT: Facts = {"conv": "sk", "conv_options": SPLIT}
PROTOTXT = {"conv_options_by_stage": {3: {"min_width": 16}}}  # the authors' Caffe model


def _keras(application: str) -> dict:
    """The graph and the pixels of a ResNet of keras.applications."""
    return {
        "stride_in": "1x1",
        "preprocess": KERAS_PIXELS,
        "imagenet_trunk": TrunkSource(application, KERAS_NAMES),
    }


# fmt: off
_ROWS = (
    # name, block, depths, attention; per variant: trainable parameters, GMACs, changes
    ResidualSpec("ResNet18", BASIC, (2, 2, 2, 2),
                 variants={"v1.5": Variant(11_689_512, 1.8141)}),
    ResidualSpec("ResNet34", BASIC, (3, 4, 6, 3),
                 variants={"v1.5": Variant(21_797_672, 3.6638)}),
    ResidualSpec("ResNet50", BOTTLENECK, (3, 4, 6, 3),
                 variants={"v1.5": Variant(25_557_032, 4.0892)}),
    ResidualSpec("ResNet101", BOTTLENECK, (3, 4, 23, 3),
                 variants={"v1.5": Variant(44_549_160, 7.8014)}),
    ResidualSpec("ResNet152", BOTTLENECK, (3, 8, 36, 3),
                 variants={"v1.5": Variant(60_192_808, 11.5136)}),
    ResidualSpec("SEResNet18", BASIC, (2, 2, 2, 2), attention="se",
                 variants={"original": Variant(11_778_592, 1.8142, ORIGINAL_BASIC),
                           "v1.5": Variant(11_779_624, 1.8142, ROUNDED)}),
    ResidualSpec("SEResNet34", BASIC, (3, 4, 6, 3), attention="se",
                 variants={"original": Variant(21_958_868, 3.6639, ORIGINAL_BASIC),
                           "v1.5": Variant(21_960_416, 3.6639, ROUNDED)}),
    ResidualSpec("SEResNet50", BOTTLENECK, (3, 4, 6, 3), attention="se",
                 variants={"v1.5": Variant(28_088_024, 4.0917, ROUNDED),
                           "original": Variant(28_088_024, 3.8605, ORIGINAL),
                           "keras": Variant(28_088_024, 3.8605, _keras("ResNet50"))}),
    ResidualSpec("SEResNet101", BOTTLENECK, (3, 4, 23, 3), attention="se",
                 variants={"original": Variant(49_326_872, 7.5749, ORIGINAL),
                           "v1.5": Variant(49_326_872, 7.8061, ROUNDED),
                           "keras": Variant(49_326_872, 7.5749, _keras("ResNet101"))}),
    ResidualSpec("SEResNet152", BOTTLENECK, (3, 8, 36, 3), attention="se",
                 variants={"original": Variant(66_821_848, 11.2890, ORIGINAL),
                           "v1.5": Variant(66_821_848, 11.5202, ROUNDED),
                           "keras": Variant(66_821_848, 11.2890, _keras("ResNet152"))}),
    ResidualSpec("SEResNet50T", BOTTLENECK, (3, 4, 6, 3), attention="se", **DEEP, **TIERED,
                 variants={"v1.5": Variant(28_104_720, 4.2997, ROUNDED)}),
    ResidualSpec("SEResNet152D", BOTTLENECK, (3, 8, 36, 3), attention="se", **DEEP,
                 variants={"v1.5": Variant(66_841_080, 11.7598, ROUNDED)}),
    ResidualSpec("CBAMResNet18", BASIC, (2, 2, 2, 2), attention="cbam",
                 variants={"v1.5": Variant(11_779_392, 1.8151)}),
    ResidualSpec("CBAMResNet34", BASIC, (3, 4, 6, 3), attention="cbam",
                 variants={"v1.5": Variant(21_960_468, 3.6654)}),
    ResidualSpec("CBAMResNet50", BOTTLENECK, (3, 4, 6, 3), attention="cbam",
                 variants={"v1.5": Variant(28_089_624, 4.0956)}),
    ResidualSpec("CBAMResNet101", BOTTLENECK, (3, 4, 23, 3), attention="cbam",
                 variants={"v1.5": Variant(49_330_172, 7.8126)}),
    ResidualSpec("SKNet26", BOTTLENECK, (2, 2, 2, 2), **SK,
                 variants={"v1.5": Variant(16_746_408, 2.5869)}),
    ResidualSpec("SKNet50", BOTTLENECK, (3, 4, 6, 3), **SK,
                 variants={"v1.5": Variant(27_479_784, 4.4627)}),
    ResidualSpec("SKNet101", BOTTLENECK, (3, 4, 23, 3), **SK,
                 variants={"v1.5": Variant(48_736_040, 8.4487),
                           "prototxt": Variant(48_686_760, 8.4487, PROTOTXT)}),
    ResidualSpec("SKNet152", BOTTLENECK, (3, 8, 36, 3), **SK,
                 variants={"v1.5": Variant(66_295_656, 12.4346)}),
    ResidualSpec("SKResNet18", BASIC, (2, 2, 2, 2), **SK_SPLIT,
                 variants={"v1.5": Variant(11_958_056, 1.8143)}),
    ResidualSpec("SKResNet34", BASIC, (3, 4, 6, 3), **SK_SPLIT,
                 variants={"v1.5": Variant(22_282_376, 3.6642)}),
)
# fmt: on
SPECS = {row.name: row for row in _ROWS}

ResNet18 = constructor(SPECS["ResNet18"], "ResNet-18 (He et al.), without attention.")
ResNet34 = constructor(SPECS["ResNet34"], "ResNet-34 (He et al.), without attention.")
ResNet50 = constructor(SPECS["ResNet50"], "ResNet-50 (He et al.), without attention.")
ResNet101 = constructor(SPECS["ResNet101"], "ResNet-101 (He et al.), without attention.")
ResNet152 = constructor(SPECS["ResNet152"], "ResNet-152 (He et al.), without attention.")
SEResNet18 = constructor(SPECS["SEResNet18"], "SE-ResNet-18: ResNet-18 with channel gates.")
SEResNet34 = constructor(SPECS["SEResNet34"], "SE-ResNet-34: ResNet-34 with channel gates.")
SEResNet50 = constructor(SPECS["SEResNet50"], "SE-ResNet-50 (Hu et al., table 1).")
SEResNet101 = constructor(SPECS["SEResNet101"], "SE-ResNet-101 (Hu et al., table 2).")
SEResNet152 = constructor(SPECS["SEResNet152"], "SE-ResNet-152 (Hu et al., table 2).")
SEResNet50T = constructor(SPECS["SEResNet50T"], "SE-ResNet-50-T: a tiered stem (timm).")
SEResNet152D = constructor(SPECS["SEResNet152D"], "SE-ResNet-152-D: a deep stem (timm).")
CBAMResNet18 = constructor(SPECS["CBAMResNet18"], "CBAM-ResNet-18 (Woo et al., table 4).")
CBAMResNet34 = constructor(SPECS["CBAMResNet34"], "CBAM-ResNet-34 (Woo et al., table 4).")
CBAMResNet50 = constructor(SPECS["CBAMResNet50"], "CBAM-ResNet-50 (Woo et al., table 4).")
CBAMResNet101 = constructor(SPECS["CBAMResNet101"], "CBAM-ResNet-101 (Woo et al., table 4).")
SKNet26 = constructor(SPECS["SKNet26"], "SKNet-26 (Li et al., table 3).")
SKNet50 = constructor(SPECS["SKNet50"], "SKNet-50 (Li et al., table 1); timm's skresnext50_32x4d.")
SKResNeXt50 = SKNet50  # timm's name for the same network
SKNet101 = constructor(SPECS["SKNet101"], "SKNet-101 (Li et al., table 2).")
SKNet152 = constructor(SPECS["SKNet152"], "SKNet-152: SKNet with ResNet-152's depths.")
SKResNet18 = constructor(SPECS["SKResNet18"], "SK-ResNet-18: timm's, with split input channels.")
SKResNet34 = constructor(SPECS["SKResNet34"], "SK-ResNet-34: timm's, with split input channels.")

preprocess_input = IMAGENET

__all__ = [*SPECS, "SPECS", "SKResNeXt50", "decode_predictions", "preprocess_input"]
