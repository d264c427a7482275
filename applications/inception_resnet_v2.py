"""Inception-ResNet-v2 and its SE form: the graph of keras.applications.

References:
    Szegedy et al., https://arxiv.org/abs/1602.07261
    Hu et al., https://arxiv.org/abs/1709.01507, table 2

A gate sits on each of the 40 residuals, before it is scaled and added. The paper counts
11.75 GFLOPs for its own Inception-ResNet-v2; the network of keras.applications has 13.16.
"""

from .blocks.branches import BranchedSpec, Conv, Fork, Pool, Residual
from .construction.constructor import constructor
from .construction.spec import Facts, TrunkSource, Variant
from .decoding import decode_predictions
from .inception_v3 import KERAS, STEM, STRIDED, five_by_five
from .preprocessing import INCEPTION

_BLOCK35 = (
    (Conv(32),),
    (Conv(32), Conv(32, 3)),
    (Conv(32), Conv(48, 3), Conv(64, 3)),
)
_BLOCK17 = (
    (Conv(192),),
    (Conv(128), Conv(160, (1, 7)), Conv(192, (7, 1))),
)
_BLOCK8 = (
    (Conv(192),),
    (Conv(192), Conv(224, (1, 3)), Conv(256, (3, 1))),
)
_REDUCE_A = Fork(
    (
        (Conv(384, 3, **STRIDED),),
        (Conv(256), Conv(256, 3), Conv(384, 3, **STRIDED)),
        (Pool("max", **STRIDED),),
    )
)
_REDUCE_B = Fork(
    (
        (Conv(256), Conv(384, 3, **STRIDED)),
        (Conv(256), Conv(288, 3, **STRIDED)),
        (Conv(256), Conv(288, 3), Conv(320, 3, **STRIDED)),
        (Pool("max", **STRIDED),),
    )
)


def _repeated(name, count, block):
    return tuple((f"{name}_{index}", block) for index in range(1, count + 1))


_NETWORK: Facts = {
    **KERAS,
    "layers": (
        *STEM,
        ("mixed_5b", five_by_five(96, 64)),
        *_repeated("block35", 10, Residual(_BLOCK35, 0.17)),
        ("mixed_6a", _REDUCE_A),
        *_repeated("block17", 20, Residual(_BLOCK17, 0.1)),
        ("mixed_7a", _REDUCE_B),
        *_repeated("block8", 9, Residual(_BLOCK8, 0.2)),
        ("block8_10", Residual(_BLOCK8, 1.0, "linear")),
        ("conv_7b", Conv(1536)),
    ),
    "imagenet_trunk": TrunkSource("InceptionResNetV2"),
}

_ROWS = (
    # name; trainable parameters, GMACs
    BranchedSpec("InceptionResNetV2", **_NETWORK, variants={"keras": Variant(55_813_192, 13.1558)}),
    BranchedSpec(
        "SEInceptionResNetV2",
        **_NETWORK,
        attention="se",
        variants={"keras": Variant(64_357_172, 13.1643)},
    ),
)
SPECS = {row.name: row for row in _ROWS}

InceptionResNetV2 = constructor(SPECS["InceptionResNetV2"], "Inception-ResNet-v2 (Szegedy et al.).")
SEInceptionResNetV2 = constructor(
    SPECS["SEInceptionResNetV2"], "SE-Inception-ResNet-v2 (Hu et al., table 2)."
)

preprocess_input = INCEPTION

__all__ = [*SPECS, "SPECS", "decode_predictions", "preprocess_input"]
