"""SENet-154, the network that won the ILSVRC 2017 classification.

References:
    Hu et al., https://arxiv.org/abs/1709.01507, appendix; https://github.com/hujie-frank/SENet

Variants: "original" has the authors' stem pool, without padding; "gluon" has PyTorch's.
"""

from .blocks.residual import ResidualSpec
from .construction.constructor import constructor
from .construction.spec import Variant
from .decoding import decode_predictions
from .preprocessing import IMAGENET

SPECS = {
    "SENet154": ResidualSpec(
        "SENet154",
        "bottleneck",
        (3, 8, 36, 3),
        groups=64,
        group_width=4,
        first_reduction=2,
        stem="deep",
        stem_widths=(64, 64, 128),
        shortcut_size=3,
        attention="se",
        dropout=0.2,
        variants={
            "original": Variant(115_088_984, 20.6884, {"stem_pool": "ceil"}),
            "gluon": Variant(115_088_984, 20.6884, {"attention_options": {"divisor": 8}}),
        },
    )
}

SENet154 = constructor(SPECS["SENet154"], "SENet-154 (Hu et al., appendix).")

preprocess_input = IMAGENET

__all__ = [*SPECS, "SPECS", "decode_predictions", "preprocess_input"]
