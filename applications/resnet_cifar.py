"""The residual networks of the papers for pictures of 32 x 32 pixels.

References:
    ResNet-20 to 110: He et al., https://arxiv.org/abs/1512.03385, section 4.2
    SE-ResNet-110: Hu et al., https://arxiv.org/abs/1709.01507, table 6
    SKNet-29: Li et al., https://arxiv.org/abs/1903.06586, section 4.2
"""

from .blocks.residual import ResidualSpec
from .construction.constructor import constructor, constructor_by_depth
from .construction.spec import Facts, Variant
from .preprocessing import CIFAR10

SMALL: Facts = {
    "widths": (16, 32, 64),
    "stem": "3x3",
    "stem_pool": None,
    "shortcut": "padded",
    "preprocess": CIFAR10,
    "size": 32,
    "classes": 10,
}


def _resnet(depth: int, prefix: str = "", attention: str | None = None) -> ResidualSpec:
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 8 or (depth - 2) % 6:
        raise ValueError(
            f"`depth` must be 6 n + 2: 20, 32, 56, 110 in the papers. Received: depth={depth!r}"
        )
    return ResidualSpec(
        f"{prefix}ResNet{depth}CIFAR",
        "basic",
        ((depth - 2) // 6,) * 3,
        attention=attention,
        conv_options={"groups": 16},  # for conv="sk": the narrowest stage has 16 channels
        variants={"v1.5": Variant(*FIGURES[prefix].get(depth, (0, 0)))},
        **SMALL,
    )


def _seresnet(depth: int) -> ResidualSpec:
    return _resnet(depth, "SE", "se")


# Trainable parameters and GMACs by depth; He et al. give 0.27 M for 20 and 1.7 M for 110.
FIGURES = {
    "": {
        20: (269_722, 0.0406),
        32: (464_154, 0.0689),
        56: (853_018, 0.1255),
        110: (1_727_962, 0.2529),
    },
    "SE": {
        20: (272_095, 0.0406),
        32: (468_109, 0.0689),
        56: (860_137, 0.1255),
        110: (1_742_200, 0.2529),
    },
}

SPECS = {
    "SKNet29": ResidualSpec(
        "SKNet29",
        "bottleneck",
        (3, 3, 3),
        conv="sk",
        groups=16,
        group_width=32,
        # The paper states the backbone (ResNeXt-29 16x32d) and 27.7 M parameters. Kernels
        # of 1 and 3 pixels with r = 32 give 27.7 M; 3 and 5 pixels give 28 M or more.
        conv_options={"kernel_sizes": (1, 3), "ratio": 32, "min_width": 16},
        variants={"v1.5": Variant(27_739_626, 4.1809)},
        **SMALL | {"widths": (64, 128, 256), "shortcut": "projection"},
    )
}

SKNet29 = constructor(SPECS["SKNet29"], "SKNet-29 for 32 x 32 pictures (Li et al., table 5).")
ResNetCIFAR = constructor_by_depth(
    SKNet29, _resnet, 20, "ResNetCIFAR", "ResNet for 32 x 32 pictures (He et al., section 4.2)."
)
SEResNetCIFAR = constructor_by_depth(
    SKNet29, _seresnet, 20, "SEResNetCIFAR", "SE-ResNet for 32 x 32 pictures (Hu et al., table 6)."
)

SPECS_BY_DEPTH = {"ResNetCIFAR": _resnet, "SEResNetCIFAR": _seresnet}

preprocess_input = CIFAR10

__all__ = ["SPECS", "ResNetCIFAR", "SEResNetCIFAR", "SKNet29", "preprocess_input"]
