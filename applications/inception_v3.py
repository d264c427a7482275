"""Inception-v3 and its SE form: the graph of keras.applications, gates after mixed0 to 10.

References:
    Szegedy et al., https://arxiv.org/abs/1512.00567
    Hu et al., https://arxiv.org/abs/1709.01507, figure 2
"""

from .blocks.branches import BranchedSpec, Conv, Fork, Pool, gated
from .construction.constructor import constructor
from .construction.spec import Facts, TrunkSource, Variant
from .decoding import decode_predictions
from .preprocessing import INCEPTION

# Also the stem of Inception-ResNet-v2.
STEM = (
    ("stem1", Conv(32, 3, 2, "valid")),
    ("stem2", Conv(32, 3, 1, "valid")),
    ("stem3", Conv(64, 3)),
    ("stem4", Pool("max", 2, "valid")),
    ("stem5", Conv(80)),
    ("stem6", Conv(192, 3, 1, "valid")),
    ("stem7", Pool("max", 2, "valid")),
)
KERAS: Facts = {
    # Keras' own defaults, as in keras.applications; no scale, since a ReLU follows.
    "norm": {"scale": False, "epsilon": 1e-3, "momentum": 0.99},
    "preprocess": INCEPTION,
    "size": 299,
    "min_size": 75,
}
STRIDED: Facts = {"strides": 2, "padding": "valid"}
ROW, COLUMN = (1, 7), (7, 1)


def five_by_five(single, projection):
    """35 x 35: branches of 1x1, 5x5, two 3x3, a pool (figure 5)."""
    return Fork(
        (
            (Conv(single),),
            (Conv(48), Conv(64, 5)),
            (Conv(64), Conv(96, 3), Conv(96, 3)),
            (Pool("avg"), Conv(projection)),
        )
    )


def _seven_by_seven(width):
    """17 x 17: 7x7 convolutions as rows and columns (figure 6)."""
    rows = (Conv(width), Conv(width, ROW), Conv(192, COLUMN))
    twice = (Conv(width), Conv(width, COLUMN), Conv(width, ROW), Conv(width, COLUMN))
    return Fork(((Conv(192),), rows, (*twice, Conv(192, ROW)), (Pool("avg"), Conv(192))))


def _expanded():
    """8 x 8: branches that fork once more (figure 7)."""
    fork = Fork(((Conv(384, (1, 3)),), (Conv(384, (3, 1)),)))
    return Fork(
        (
            (Conv(320),),
            (Conv(384), fork),
            (Conv(448), Conv(384, 3), fork),
            (Pool("avg"), Conv(192)),
        )
    )


_BLOCKS = {
    "mixed0": five_by_five(64, 32),
    "mixed1": five_by_five(64, 64),
    "mixed2": five_by_five(64, 64),
    "mixed3": Fork(
        (
            (Conv(384, 3, **STRIDED),),
            (Conv(64), Conv(96, 3), Conv(96, 3, **STRIDED)),
            (Pool("max", **STRIDED),),
        )
    ),
    "mixed4": _seven_by_seven(128),
    "mixed5": _seven_by_seven(160),
    "mixed6": _seven_by_seven(160),
    "mixed7": _seven_by_seven(192),
    "mixed8": Fork(
        (
            (Conv(192), Conv(320, 3, **STRIDED)),
            (Conv(192), Conv(192, ROW), Conv(192, COLUMN), Conv(192, 3, **STRIDED)),
            (Pool("max", **STRIDED),),
        )
    ),
    "mixed9": _expanded(),
    "mixed10": _expanded(),
}
_NETWORK: Facts = {
    **KERAS,
    "layers": (*STEM, *gated(_BLOCKS)),
    "imagenet_trunk": TrunkSource("InceptionV3"),
}

_ROWS = (
    # name; trainable parameters, GMACs
    BranchedSpec("InceptionV3", **_NETWORK, variants={"keras": Variant(23_817_352, 5.7132)}),
    BranchedSpec(
        "SEInceptionV3", **_NETWORK, attention="se", variants={"keras": Variant(25_478_972, 5.7149)}
    ),
)
SPECS = {row.name: row for row in _ROWS}

InceptionV3 = constructor(SPECS["InceptionV3"], "Inception-v3 (Szegedy et al.).")
SEInceptionV3 = constructor(SPECS["SEInceptionV3"], "SE-Inception-v3: gates after each module.")

preprocess_input = INCEPTION

__all__ = [*SPECS, "SPECS", "decode_predictions", "preprocess_input"]
