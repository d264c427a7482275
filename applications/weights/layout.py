"""The keys that a code base gives to the weights of a network."""

import re
from dataclasses import dataclass
from functools import cached_property

from ..blocks.residual import ResidualSpec
from .architectures import Architecture, Rules

VARIABLES: Rules = (
    (r"/kernel$", ".weight"),
    (r"/gamma$", ".weight"),
    (r"/(beta|bias)$", ".bias"),
    (r"/moving_mean$", ".running_mean"),
    (r"/moving_variance$", ".running_var"),
)
AVERAGE_SHORTCUT: Rules = (
    (r"shortcut_conv", "downsample.1"),
    (r"shortcut_norm", "downsample.2"),
)


@dataclass(frozen=True)
class Layout:
    """An architecture's rules for the network that it is.

    Attributes:
        architecture: whose keys they are.
        spec: of the network; whoever has such checkpoints is residual.
    """

    architecture: Architecture
    spec: ResidualSpec

    @cached_property
    def rules(self) -> Rules:
        """From the paths of our weights to the keys of the checkpoint."""
        last_norm = {"basic": "norm2", "bottleneck": "norm3"}[self.spec.block]
        shortcut = AVERAGE_SHORTCUT if self.spec.shortcut == "average" else ()
        first = ((r"tail/norm/", f"{last_norm}/"), *shortcut)
        return (*first, *self.architecture.rules, *VARIABLES)

    def key(self, path: str) -> str:
        """The checkpoint's key of the weight at `path`."""
        for pattern, replacement in self.rules:
            path = re.sub(pattern, replacement, path)
        return path
