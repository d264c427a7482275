"""A network from a checkpoint file on this machine."""

import os
from pathlib import Path

from ..image_model import ImageModel
from .architectures import find_architecture
from .sources import KERAS_SUFFIXES, read_for
from .state_dict import check_arguments, from_state_dict


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
    check_arguments(arguments)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no such file. Received: path={os.fspath(path)!r}")
    if path.name.endswith(KERAS_SUFFIXES):
        return entry.constructor(variant=entry.variant, weights=path, **arguments)
    return from_state_dict(architecture, read_for(entry, path), **arguments)
