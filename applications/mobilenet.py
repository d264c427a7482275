"""MobileNet and SE-MobileNet: the graph of keras.applications, a gate at each block's end.

References:
    Howard et al., https://arxiv.org/abs/1704.04861, table 1
    Hu et al., https://arxiv.org/abs/1709.01507, table 3

The paper gives SE-MobileNet 4.7 M parameters and 572 M multiply-adds. A gate after each
of the 13 pointwise convolutions has 4.71 M and, with the additions of the squeeze, which
`profile` does not count, 571.9 M; after the depthwise ones it would have 4.6 M.
"""

from dataclasses import dataclass

import keras

from .construction.constructor import constructor_by_width
from .construction.spec import NetworkSpec, TrunkSource, Variant
from .decoding import decode_predictions
from .preprocessing import INCEPTION

STEM_FILTERS = 32
BLOCKS = (  # filters of the pointwise convolution, strides of the depthwise one
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *(((512, 1),) * 5),
    *((1024, 2), (1024, 1)),
)


@dataclass(frozen=True)
class MobileNetSpec(NetworkSpec):
    """MobileNet of one width."""

    alpha: float = 1.0  # width multiplier of the paper

    def trunk(self, images):
        """The last feature map: (b, h/32, w/32, 1024 alpha)."""
        stem = keras.layers.Conv2D(
            int(STEM_FILTERS * self.alpha),
            3,
            strides=2,
            padding="same",
            use_bias=False,
            name="stem_conv",
        )
        x = _norm_act(stem(images), "stem")
        for index, (filters, strides) in enumerate(BLOCKS, start=1):
            x = self._block(x, int(filters * self.alpha), strides, f"block{index}")
        return x

    def _block(self, x, filters, strides, name):
        if strides == 2:
            x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
        depthwise = keras.layers.DepthwiseConv2D(
            3,
            strides=strides,
            padding="same" if strides == 1 else "valid",
            use_bias=False,
            name=f"{name}_depthwise",
        )
        x = _norm_act(depthwise(x), f"{name}_depthwise")
        x = keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_pointwise")(x)
        x = _norm_act(x, f"{name}_pointwise")
        return x if self.attention is None else self.gated(x, f"{name}_gate")


def _norm_act(x, name):
    """BatchNorm with Keras' own defaults, as in keras.applications, and ReLU6."""
    x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_act")(x)


# Trainable parameters and GMACs by width; the paper's four widths.
FIGURES = {
    "": {
        0.25: (470_072, 0.0410),
        0.5: (1_331_592, 0.1495),
        0.75: (2_585_560, 0.3254),
        1.0: (4_231_976, 0.5687),
    },
    "SE": {
        0.25: (501_637, 0.0411),
        0.5: (1_454_690, 0.1496),
        0.75: (2_860_159, 0.3257),
        1.0: (4_718_044, 0.5692),
    },
}


def _mobilenet(alpha: float, prefix: str = "", attention: str | None = None) -> MobileNetSpec:
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not number or not 1 / STEM_FILTERS <= alpha <= 16:
        raise ValueError(
            f"`alpha` must be a width multiplier that leaves the stem a filter, from "
            f"{1 / STEM_FILTERS} to 16. Received: alpha={alpha!r}"
        )
    return MobileNetSpec(
        f"{prefix}MobileNet",
        alpha,
        attention=attention,
        variants={"keras": Variant(*FIGURES[prefix].get(alpha, (0, 0)))},
        preprocess=INCEPTION,
        dropout=1e-3,
        imagenet_trunk=TrunkSource("MobileNet", options={"alpha": alpha}),
    )


def _semobilenet(alpha: float) -> MobileNetSpec:
    return _mobilenet(alpha, "SE", "se")


SPECS_BY_WIDTH = {"MobileNet": _mobilenet, "SEMobileNet": _semobilenet}

MobileNet = constructor_by_width(_mobilenet, "MobileNet (Howard et al.).")
SEMobileNet = constructor_by_width(_semobilenet, "SE-MobileNet (Hu et al., table 3).")

preprocess_input = INCEPTION

__all__ = ["MobileNet", "SEMobileNet", "decode_predictions", "preprocess_input"]
