"""What attention does on pictures: the values of the gates of any Keras model."""

from . import figures
from .gates import ChannelGates, gates
from .grad_cam import grad_cam
from .selective_kernels import attention_by_scale, branch_weights
from .sensitivity import Sensitivity, StageSensitivity, sensitivity
from .spatial import spatial_maps

__all__ = [
    "ChannelGates",
    "Sensitivity",
    "StageSensitivity",
    "attention_by_scale",
    "branch_weights",
    "figures",
    "gates",
    "grad_cam",
    "sensitivity",
    "spatial_maps",
]
