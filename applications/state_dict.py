"""Published PyTorch weights, read without PyTorch.

A checkpoint is a state dict: {key: array} in PyTorch's layout. Each of our weights has
a path, "stage2_block1_tail/gate/reduce/kernel"; a layout is the ordered list of regular
expressions that turns such a path into the key that one code base uses for it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from . import resnet
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
    (r"^stem_conv", "conv1"),
    (r"^stem_norm", "bn1"),
    (r"^stage(\d)_block(\d+)_", lambda m: f"layer{int(m[1]) - 1}.{int(m[2]) - 1}."),
    (r"shortcut_conv", "downsample.0"),
    (r"shortcut_norm", "downsample.1"),
    (r"norm(\d)/", r"bn\1/"),
    (r"^predictions", "fc"),
)
TIMM: Rules = (
    *RESIDUAL,
    (r"tail/gate/reduce", "se.fc1"),
    (r"tail/gate/expand", "se.fc2"),
)
CADENE: Rules = (
    *RESIDUAL,
    (r"^(conv1|bn1)", r"layer0.\1"),
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
    variant: str
    rules: Rules

    @property
    def layout(self) -> Rules:
        """From the paths of our weights to the keys of the checkpoint."""
        last = {"basic": 2, "bottleneck": 3}[self.constructor.spec.block]
        return ((r"tail/norm/", f"norm{last}/"), *self.rules, *VARIABLES)


def _architectures(prefix, constructor_prefix, depths, variant, rules):
    return {
        f"{prefix}{n}": Architecture(getattr(resnet, f"{constructor_prefix}{n}"), variant, rules)
        for n in depths
    }


ARCHITECTURES = {
    **_architectures("resnet", "ResNet", (18, 34, 50, 101, 152), "v1.5", RESIDUAL),
    **_architectures("seresnet", "SEResNet", (18, 34, 50, 101, 152), "v1.5", TIMM),
    **_architectures("legacy_seresnet", "SEResNet", (18, 34, 50, 101, 152), "original", CADENE),
    **_architectures("cbam_resnet", "CBAMResNet", (18, 34, 50, 101), "v1.5", CBAM),
    **_architectures("skresnet", "SKResNet", (18, 34), "v1.5", SELECTIVE_KERNEL),
    "skresnext50_32x4d": Architecture(resnet.SKNet50, "v1.5", SELECTIVE_KERNEL),
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
    variables = {state_dict_key(v.path, layout): v for v in model.variables}
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
