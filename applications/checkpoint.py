"""A network from a checkpoint of other code, and its weights back under that code's keys."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from .blocks.residual import ResidualSpec
from .image_model import ImageModel
from .registry import MODELS
from .weights.architectures import ARCHITECTURES, Architecture, find_architecture
from .weights.layout import Layout
from .weights.sources import KERAS_SUFFIXES, read_for
from .weights.state_dict import load_state_dict, read_state_dict


def from_checkpoint(path: str | os.PathLike, architecture: str, **arguments) -> ImageModel:
    """Build a network and give it the weights of a file.

    Args:
        path: a file that ends in .safetensors; .pth, .pt, .bin or .tar, what
            `torch.save` wrote, which is read without PyTorch and without running it;
            .h5: a state dict as one dataset for each key, or what qubvel's
            classification_models wrote; or .weights.h5 or .keras, Keras' own of the same
            network. "state_dict" or "model" around the weights and "module." or
            "_orig_mod." before every key are taken off.
        architecture: name of the network in the code base that wrote the file, a key
            of `ARCHITECTURES`: "seresnet50" or "legacy_seresnet50" (timm, Cadene),
            "cbam_resnet50" (the authors), "qubvel_seresnet50".
        **arguments: arguments of the constructor, such as `input_shape`, `classes` and
            `classifier_activation`; not `variant`, which the architecture decides.

    Returns:
        The model, with every entry of the file in its place. What the arguments ask
        for differs in three ways only: without a classifier its entries are left out;
        if `classes` is given and is not the checkpoint's number, the classifier is
        new, with a warning; another number of input channels adapts the stem.

    Raises:
        ValueError: for an unknown architecture, a file that cannot be read, and if an
            entry is missing, is left over, or has another shape than the network; all
            of them are listed.
        pickle.UnpicklingError: if a PyTorch file holds anything but tensors.
        FileNotFoundError: if there is no such file.

    Example:

    >>> model = from_checkpoint("seresnet50.pth", "seresnet50")  # doctest: +SKIP
    """
    entry = find_architecture(architecture)
    _check_arguments(arguments)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no such file. Received: path={os.fspath(path)!r}")
    if path.name.endswith(KERAS_SUFFIXES):
        return MODELS[entry.network](variant=entry.variant, weights=path, **arguments)
    return from_state_dict(architecture, read_for(_layout(entry), path), **arguments)


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
        The model, with every entry of the state dict in its place. What the arguments
        ask for differs in three ways only: without a classifier its entries are left
        out; if `classes` is given and is not the checkpoint's number, the classifier
        is new, with a warning; another number of input channels adapts the stem.

    Raises:
        ValueError: for an unknown architecture, and if an entry is missing, is left
            over, or has another shape than the network; all of them are listed.
    """
    entry = find_architecture(architecture)
    _check_arguments(arguments)
    model = MODELS[entry.network](variant=entry.variant, weights=None, **arguments)
    load_state_dict(model, state_dict, _layout(entry), new_head="classes" in arguments)
    model.preprocess = entry.preprocess.for_channels(len(model.preprocess.mean))
    return model


def to_state_dict(model: ImageModel, architecture: str | None = None) -> dict[str, np.ndarray]:
    """A model's weights under PyTorch's keys, for `load_state_dict` of timm's network.

    Args:
        model: a network of this package.
        architecture: the code base whose keys to use, a key of `ARCHITECTURES`. None:
            timm's, or the authors' for CBAM, of the network as it was built.

    Returns:
        {key: float32 array} in PyTorch's layout. Counters ("num_batches_tracked") are
        not among them: PyTorch needs `strict=False`, or adds them by itself.

    Raises:
        ValueError: if the network is not one of those that PyTorch code defines.

    Example:

    >>> state_dict = to_state_dict(SEResNet18(weights=None))  # doctest: +SKIP
    >>> safetensors.numpy.save_file(state_dict, "model.safetensors")  # doctest: +SKIP
    """
    name = model.architecture if architecture is None else architecture
    if name is None:
        raise ValueError(
            "The network, as it was customised, has no counterpart in PyTorch that is known "
            f"here. Name one of {sorted(ARCHITECTURES)} if the keys of one fit. "
            f"Received: model={model.name!r}, architecture=None"
        )
    state_dict = read_state_dict(model, _layout(find_architecture(name)))
    unnamed = [key for key in state_dict if "/" in key]
    if unnamed or len(state_dict) != len(model.weights):
        raise ValueError(
            f"Weights that {name!r} has no keys for: {unnamed}. Received: architecture={name!r}"
        )
    return state_dict


def _check_arguments(arguments: Mapping) -> None:
    """Refuse the constructor's arguments that an architecture and its file decide."""
    if not {"variant", "weights"}.isdisjoint(arguments):
        raise ValueError(
            "The architecture decides `variant`, and the weights are those that are given. "
            f"Received: {sorted({'variant', 'weights'} & arguments.keys())}"
        )


def _layout(architecture: Architecture) -> Layout:
    return Layout(architecture, cast("ResidualSpec", MODELS[architecture.network].spec))
