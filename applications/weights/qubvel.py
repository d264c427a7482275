"""The Keras files of qubvel's classification_models, whose layers are known by their order.

https://github.com/qubvel/classification_models, `classification_models/models/senet.py`:
no layer has a name of its own, so that the file lists conv2d_7, batch_normalization_7
and so on. Keras sorts a model's layers by their distance from the output, which puts a
shortcut's projection behind the gate's second layer. A grouped convolution is as many
small ones, side by side.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..blocks.residual import ResidualSpec
from .hdf5 import names_in, open_hdf5


def read_qubvel(path: Path, spec: ResidualSpec) -> dict[str, np.ndarray]:
    """Read a .h5 file of qubvel's as a state dict with Cadene's keys, in PyTorch's layout.

    Args:
        path: what `model.save_weights` or `model.save` wrote; with classifier or without.
        spec: of the network that the file holds.

    Raises:
        ValueError: if the layers are not those of the network.
    """
    layers = iter(_layers_with_weights(path))
    state_dict = {}
    try:
        for name, parts in _layers_in_order(spec):
            pieces = [next(layers) for _ in range(parts)]
            arrays = [np.concatenate(together, axis=-1) for together in zip(*pieces, strict=True)]
            state_dict.update(_entries(name, arrays))
        if head := next(layers, None):
            state_dict.update(_entries("last_linear", head))
        if left_over := len(list(layers)):
            raise ValueError(f"{left_over} layers are left over")
    except (StopIteration, ValueError) as error:
        raise ValueError(
            f"The layers are not those of {spec.name} ({error or 'too few'}). "
            f"Received: path={str(path)!r}"
        ) from error
    return state_dict


def _layers_with_weights(path) -> list[list[np.ndarray]]:
    with open_hdf5(path) as file:
        group = file.get("model_weights", file)
        names = names_in(group, "layer_names")
        if not names:
            raise ValueError(f"Not the weights of a Keras 2 model. Received: path={str(path)!r}")
        layers = (group[name] for name in names)
        arrays = [[layer[name][()] for name in names_in(layer, "weight_names")] for layer in layers]
    return [layer for layer in arrays if layer]


def _layers_in_order(spec: ResidualSpec) -> Iterator[tuple[str, int]]:
    """Cadene's name of every layer but the classifier, and into how many it is cut."""
    stem = ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3"] if spec.stem == "deep" else None
    for name in stem or ["conv1", "bn1"]:
        yield f"layer0.{name}", 1
    for stage, depth in enumerate(spec.depths, start=1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            for index in (1, 2, 3):
                yield f"{prefix}.conv{index}", spec.groups if index == 2 else 1
                yield f"{prefix}.bn{index}", 1
            names = ["se_module.fc1", "se_module.fc2"]
            for name in names + (["downsample.0", "downsample.1"] if block == 0 else []):
                yield f"{prefix}.{name}", 1


def _entries(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The entries of one layer: a convolution, a dense layer or a BatchNorm."""
    first = arrays[0]
    if first.ndim == 1:
        parts: tuple[str, ...] = ("weight", "bias", "running_mean", "running_var")
    else:
        parts = ("weight", "bias")[: len(arrays)]
        arrays = [first.transpose(3, 2, 0, 1) if first.ndim == 4 else first.T, *arrays[1:]]
    return {f"{name}.{part}": array for part, array in zip(parts, arrays, strict=True)}
