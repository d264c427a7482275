"""The networks under the names of their checkpoints, and what the keys are called there.

A checkpoint is a state dict: {key: array} in PyTorch's layout. Each of our weights has
a path, "stage2_block1_tail/gate/reduce/kernel"; rules are the ordered list of regular
expressions that turns such a path into the key that one code base uses for it (see `Layout`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..preprocessing import IMAGENET, Preprocessing

Rules = tuple[tuple[str, str | Callable], ...]

RESIDUAL: Rules = (
    (r"^stem_conv/", "conv1/"),
    (r"^stem_norm/", "bn1/"),
    (r"^stage(\d)_block(\d+)_", lambda m: f"layer{int(m[1]) - 1}.{int(m[2]) - 1}."),
    (r"shortcut_conv", "downsample.0"),
    (r"shortcut_norm", "downsample.1"),
    (r"(layer.*\.)norm(\d)/", r"\1bn\2/"),
    (r"^predictions", "fc"),
)
TIMM: Rules = (
    (r"^stem_conv(\d)", lambda m: f"conv1.{3 * int(m[1]) - 3}"),
    (r"^stem_norm3", "bn1"),
    (r"^stem_norm(\d)", lambda m: f"conv1.{3 * int(m[1]) - 2}"),
    *RESIDUAL,
    (r"tail/gate/reduce", "se.fc1"),
    (r"tail/gate/expand", "se.fc2"),
)
CADENE: Rules = (
    *RESIDUAL,
    (r"^(conv1|bn1)", r"layer0.\1"),
    (r"^stem_conv(\d)", r"layer0.conv\1"),
    (r"^stem_norm(\d)", r"layer0.bn\1"),
    (r"tail/gate/reduce", "se_module.fc1"),
    (r"tail/gate/expand", "se_module.fc2"),
    (r"^fc", "last_linear"),
)
CBAM: Rules = (
    *RESIDUAL,
    (r"tail/gate/channel/reduce", "cbam.ChannelGate.mlp.1"),
    (r"tail/gate/channel/expand", "cbam.ChannelGate.mlp.3"),
    (r"tail/gate/spatial/conv", "cbam.SpatialGate.spatial.conv"),
    (r"tail/gate/spatial/norm", "cbam.SpatialGate.spatial.bn"),
)
SELECTIVE_KERNEL: Rules = (
    (r"(conv\d)/conv(\d)/", r"\1.paths.\2.conv/"),
    (r"(conv\d)/norm(\d)/", r"\1.paths.\2.bn/"),
    (r"(conv\d)/reduce/", r"\1.attn.fc_reduce/"),
    (r"(conv\d)/reduce_norm/", r"\1.attn.bn/"),
    (r"(conv\d)/select/", r"\1.attn.fc_select/"),
    *RESIDUAL,
    (r"(layer.*\.conv\d)/kernel$", r"\1.conv/kernel"),
    (r"(layer.*\.)bn(\d)/", r"\1conv\2.bn/"),
)


@dataclass(frozen=True)
class Architecture:
    """A network under the name that its checkpoints use."""

    network: str  # the public constructor's name
    rules: Rules
    variant: str = "v1.5"
    preprocess: Preprocessing = IMAGENET
    keras_file: bool = False  # qubvel's Keras .h5, which names no key: see `qubvel`


def _by_depth(prefix, network, depths, rules, variant="v1.5", suffix="", **options):
    """The architectures PREFIX50SUFFIX, ... of one family."""
    return {
        f"{prefix}{depth}{suffix}": Architecture(f"{network}{depth}", rules, variant, **options)
        for depth in depths
    }


DEPTHS = (18, 34, 50, 101, 152)
KERAS_FILE: dict[str, Any] = {"keras_file": True}

ARCHITECTURES = {
    **_by_depth("resnet", "ResNet", DEPTHS, RESIDUAL),
    **_by_depth("seresnet", "SEResNet", DEPTHS, TIMM),
    "seresnet50t": Architecture("SEResNet50T", TIMM),
    "seresnet152d": Architecture("SEResNet152D", TIMM),
    **_by_depth("legacy_seresnet", "SEResNet", DEPTHS, CADENE, "original"),
    **_by_depth("resnext", "ResNeXt", (50, 101), RESIDUAL, suffix="_32x4d"),
    **_by_depth("seresnext", "SEResNeXt", (26, 50, 101), TIMM, suffix="_32x4d"),
    "seresnext26d_32x4d": Architecture("SEResNeXt26D", TIMM),
    "seresnext26t_32x4d": Architecture("SEResNeXt26T", TIMM),
    "seresnext101_64x4d": Architecture("SEResNeXt101_64x4d", TIMM),
    "seresnext101_32x8d": Architecture("SEResNeXt101_32x8d", TIMM),
    "seresnext101d_32x8d": Architecture("SEResNeXt101D_32x8d", TIMM),
    **_by_depth("legacy_seresnext", "SEResNeXt", (26, 50, 101), CADENE, "original", "_32x4d"),
    "senet154": Architecture("SENet154", TIMM, "gluon"),
    "legacy_senet154": Architecture("SENet154", CADENE, "original"),
    **_by_depth("cbam_resnet", "CBAMResNet", (18, 34, 50, 101), CBAM),
    "cbam_resnext50": Architecture("CBAMResNeXt50", CBAM),
    **_by_depth("skresnet", "SKResNet", (18, 34), SELECTIVE_KERNEL),
    "skresnext50_32x4d": Architecture("SKNet50", SELECTIVE_KERNEL),
    # qubvel/classification_models: Cadene's weights with PyTorch's stem pool. Its
    # SE-ResNet-18 and 34 are other networks: pre-activation, BatchNorm on the input.
    **_by_depth("qubvel_seresnet", "SEResNet", (50, 101, 152), CADENE, "keras", **KERAS_FILE),
    **_by_depth("qubvel_seresnext", "SEResNeXt", (50, 101), CADENE, **KERAS_FILE),
    "qubvel_senet154": Architecture("SENet154", CADENE, "gluon", **KERAS_FILE),
}


def find_architecture(name: str) -> Architecture:
    """The architecture called `name`.

    Raises:
        ValueError: for an unknown name; the known ones are listed.
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture; expected one of {sorted(ARCHITECTURES)}. "
            f"Received: architecture={name!r}"
        )
    return ARCHITECTURES[name]


def architectures_of(network: str, variant: str) -> dict[str, Architecture]:
    """The architectures that are this graph."""
    return {
        name: entry
        for name, entry in ARCHITECTURES.items()
        if (entry.network, entry.variant) == (network, variant)
    }
