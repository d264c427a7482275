"""Published PyTorch weights, read without PyTorch.

A checkpoint is a state dict: {key: array} in PyTorch's layout. Each of our weights has
a path, "stage2_block1_tail/gate/reduce/kernel"; a layout is the ordered list of regular
expressions that turns such a path into the key that one code base uses for it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from . import resnet, resnext, senet
from .image_model import ImageModel

Rules = tuple[tuple[str, str | Callable], ...]

VARIABLES: Rules = (
    (r"/kernel$", ".weight"),
    (r"/gamma$", ".weight"),
    (r"/(beta|bias)$", ".bias"),
    (r"/moving_mean$", ".running_mean"),
    (r"/moving_variance$", ".running_var"),
)
RESIDUAL: Rules = (
    (r"^stem_conv/", "conv1/"),
    (r"^stem_norm/", "bn1/"),
    (r"^stage(\d)_block(\d+)_", lambda m: f"layer{int(m[1]) - 1}.{int(m[2]) - 1}."),
    (r"shortcut_conv", "downsample.0"),
    (r"shortcut_norm", "downsample.1"),
    (r"(layer.*\.)norm(\d)/", r"\1bn\2/"),
    (r"^predictions", "fc"),
)
AVERAGE_SHORTCUT: Rules = (
    (r"shortcut_conv", "downsample.1"),
    (r"shortcut_norm", "downsample.2"),
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

    constructor: Callable[..., ImageModel]
    rules: Rules
    variant: str = "v1.5"

    @property
    def layout(self) -> Rules:
        """From the paths of our weights to the keys of the checkpoint."""
        spec = self.constructor.spec
        last_norm = {"basic": "norm2", "bottleneck": "norm3"}[spec.block]
        shortcut = AVERAGE_SHORTCUT if spec.shortcut == "average" else ()
        return ((r"tail/norm/", f"{last_norm}/"), *shortcut, *self.rules, *VARIABLES)


def _by_depth(prefix, family, depths, rules, variant="v1.5", suffix=""):
    """The architectures PREFIX50SUFFIX, ... of one family."""
    module, name = family
    return {
        f"{prefix}{depth}{suffix}": Architecture(getattr(module, f"{name}{depth}"), rules, variant)
        for depth in depths
    }


RESNET, SE_RESNET = (resnet, "ResNet"), (resnet, "SEResNet")
SE_RESNEXT = (resnext, "SEResNeXt")
DEPTHS = (18, 34, 50, 101, 152)

ARCHITECTURES = {
    **_by_depth("resnet", RESNET, DEPTHS, RESIDUAL),
    **_by_depth("seresnet", SE_RESNET, DEPTHS, TIMM),
    "seresnet50t": Architecture(resnet.SEResNet50T, TIMM),
    "seresnet152d": Architecture(resnet.SEResNet152D, TIMM),
    **_by_depth("legacy_seresnet", SE_RESNET, DEPTHS, CADENE, "original"),
    **_by_depth("resnext", (resnext, "ResNeXt"), (50, 101), RESIDUAL, suffix="_32x4d"),
    **_by_depth("seresnext", SE_RESNEXT, (26, 50, 101), TIMM, suffix="_32x4d"),
    "seresnext26d_32x4d": Architecture(resnext.SEResNeXt26D, TIMM),
    "seresnext26t_32x4d": Architecture(resnext.SEResNeXt26T, TIMM),
    "seresnext101_64x4d": Architecture(resnext.SEResNeXt101_64x4d, TIMM),
    "seresnext101_32x8d": Architecture(resnext.SEResNeXt101_32x8d, TIMM),
    "seresnext101d_32x8d": Architecture(resnext.SEResNeXt101D_32x8d, TIMM),
    **_by_depth("legacy_seresnext", SE_RESNEXT, (26, 50, 101), CADENE, "original", "_32x4d"),
    "senet154": Architecture(senet.SENet154, TIMM, "gluon"),
    "legacy_senet154": Architecture(senet.SENet154, CADENE, "original"),
    **_by_depth("cbam_resnet", (resnet, "CBAMResNet"), (18, 34, 50, 101), CBAM),
    "cbam_resnext50": Architecture(resnext.CBAMResNeXt50, CBAM),
    **_by_depth("skresnet", (resnet, "SKResNet"), (18, 34), SELECTIVE_KERNEL),
    "skresnext50_32x4d": Architecture(resnet.SKNet50, SELECTIVE_KERNEL),
}


def from_state_dict(
    architecture: str, state_dict: Mapping[str, np.ndarray], **arguments
) -> ImageModel:
    """Build a network and give it the weights of a PyTorch state dict.

    Args:
        architecture: name of the network in the code base that the weights come from,
            a key of `ARCHITECTURES`: "seresnet50" or "legacy_seresnet50" (timm),
            "cbam_resnet50" (the authors).
        state_dict: PyTorch's keys and arrays: convolutions (out, in / groups, h, w),
            dense layers (out, in). Counters ("num_batches_tracked") are left out.
        **arguments: arguments of the constructor, such as `input_shape` and
            `classifier_activation`; not `variant`, which the architecture decides.

    Returns:
        The model, with every entry of the state dict in its place.

    Raises:
        ValueError: for an unknown architecture, and if an entry is missing, is left
            over, or has another shape than the network; all of them are listed.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"Unknown architecture; expected one of {sorted(ARCHITECTURES)}. "
            f"Received: architecture={architecture!r}"
        )
    entry = ARCHITECTURES[architecture]
    model = entry.constructor(variant=entry.variant, **arguments)
    load_state_dict(model, state_dict, entry.layout)
    return model


def load_state_dict(model: ImageModel, state_dict: Mapping[str, np.ndarray], layout: Rules):
    """Assign a state dict to a model's weights; nothing changes unless everything fits."""
    variables = {state_dict_key(v.path, layout): v for v in model.weights}
    entries = {k: v for k, v in state_dict.items() if not k.endswith("num_batches_tracked")}
    problems = [f"missing: {key}" for key in variables if key not in entries]
    problems += [f"left over: {key}" for key in entries if key not in variables]
    arrays = {}
    for key in variables.keys() & entries.keys():
        arrays[key] = to_keras_layout(np.asarray(entries[key]), variables[key].shape)
        if arrays[key] is None:
            problems.append(
                f"shape: {key} is {tuple(np.shape(entries[key]))} in the state dict; "
                f"the network's weight is {tuple(variables[key].shape)} (Keras layout)"
            )
    if problems:
        raise ValueError("The state dict does not fit the network:\n" + "\n".join(problems))
    for key, array in arrays.items():
        variables[key].assign(array)


def state_dict_key(path: str, layout: Rules) -> str:
    """The state-dict key of the weight at `path`."""
    for pattern, replacement in layout:
        path = re.sub(pattern, replacement, path)
    return path


def to_keras_layout(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Reorder a PyTorch array for a Keras weight of `shape`; None if it does not fit.

    Convolutions (out, in, h, w) become (h, w, in, out), dense layers (out, in) become
    (in, out), also where they are stored as 1x1 convolutions.
    """
    if array.ndim == 4 and array.shape[2:] == (1, 1) and len(shape) == 2:
        array = array[:, :, 0, 0]
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    elif array.ndim == 2:
        array = array.T
    return array if array.shape == tuple(shape) else None
