"""BN-Inception and SE-BN-Inception, as the authors of SENet released them.

References:
    Ioffe, Szegedy, https://arxiv.org/abs/1502.03167, figure 5
    Hu et al., https://arxiv.org/abs/1709.01507, table 2; https://github.com/hujie-frank/SENet

Caffe rounds a pool's size up, and its average counts the zeros around a map. In 3c and 4e
that fits the convolutions beside the pool only on maps of even size, where it is what Keras
calls "same"; on odd ones, "same" is what makes the network work at all.
"""

from .blocks.branches import BranchedSpec, Conv, Fork, Pool, gated
from .construction.constructor import constructor
from .construction.spec import Facts, Variant
from .decoding import decode_predictions
from .preprocessing import Preprocessing

CAFFE = Preprocessing((104, 117, 123), (1, 1, 1), "bgr")

_STEM = (
    ("stem1", Conv(64, 7, 2, "pad3")),
    ("stem2", Pool("max", 2, "ceil")),
    ("stem3", Conv(64)),
    ("stem4", Conv(192, 3)),
    ("stem5", Pool("max", 2, "ceil")),
)


def _block(single, reduce3, conv3, reduce5, conv5, pool, projection):
    """Branches: 1x1; 3x3; two 3x3; a pool and a 1x1. Strided ones have no 1x1."""
    rest: tuple[tuple[Conv], ...]
    pooled: tuple[Pool | Conv, ...]
    if single is None:
        last: Facts = {"strides": 2, "padding": "pad"}
        pooled, rest = (Pool(pool, 2),), ()
    else:
        last = {}
        padding = "pad" if pool == "avg" else "same"
        pooled, rest = (Pool(pool, 1, padding), Conv(projection)), ((Conv(single),),)
    triple = (Conv(reduce3), Conv(conv3, 3, **last))
    double = (Conv(reduce5), Conv(conv5, 3), Conv(conv5, 3, **last))
    return Fork((*rest, triple, double, pooled))


# fmt: off
_BLOCKS = {
    # 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, projection
    "inception_3a": _block(64, 64, 64, 64, 96, "avg", 32),
    "inception_3b": _block(64, 64, 96, 64, 96, "avg", 64),
    "inception_3c": _block(None, 128, 160, 64, 96, "max", None),
    "inception_4a": _block(224, 64, 96, 96, 128, "avg", 128),
    "inception_4b": _block(192, 96, 128, 96, 128, "avg", 128),
    "inception_4c": _block(160, 128, 160, 128, 160, "avg", 128),
    "inception_4d": _block(96, 128, 192, 160, 192, "avg", 128),
    "inception_4e": _block(None, 128, 192, 192, 256, "max", None),
    "inception_5a": _block(352, 192, 320, 160, 224, "avg", 128),
    "inception_5b": _block(352, 192, 320, 192, 224, "max", 128),
}
# fmt: on

_NETWORK: Facts = {
    "layers": (*_STEM, *gated(_BLOCKS)),
    "norm": {"epsilon": 1e-5, "momentum": 0.9},
    "kernel_initializer": "he_normal",
    "preprocess": CAFFE,
}

_ROWS = (
    # name; trainable parameters, GMACs
    BranchedSpec("BNInception", **_NETWORK, variants={"original": Variant(11_285_224, 2.0326)}),
    BranchedSpec(
        "SEBNInception",
        **_NETWORK,
        attention="se",
        variants={"original": Variant(11_931_622, 2.0332)},
    ),
)
SPECS = {row.name: row for row in _ROWS}

BNInception = constructor(SPECS["BNInception"], "BN-Inception (Ioffe and Szegedy).")
SEBNInception = constructor(SPECS["SEBNInception"], "SE-BN-Inception (Hu et al., table 2).")

preprocess_input = CAFFE

__all__ = [*SPECS, "SPECS", "decode_predictions", "preprocess_input"]
