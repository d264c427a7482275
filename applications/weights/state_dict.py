"""From a state dict to a model's weights and back."""

import re
from collections.abc import Mapping

import keras
import numpy as np

from ...walk import weights_by_path
from .adapting import adapt
from .layout import Layout

GATE = re.compile(r"\.(se|se_module|attn)\.")  # keys whose dense layers are 1x1 convolutions


def load_state_dict(
    model: keras.Model,
    state_dict: Mapping[str, np.ndarray],
    layout: Layout,
    new_head: bool = False,
):
    """Assign a state dict to a model's weights; nothing changes unless everything fits.

    Args:
        model: a network.
        state_dict: PyTorch's keys and arrays.
        layout: gives the keys of the model's weights.
        new_head: whether a classifier for another number of classes stays as it is.

    Raises:
        ValueError: if an entry is missing, is left over or has another shape.
    """
    variables = {layout.key(path): w for path, w in weights_by_path(model).items()}
    entries = {k: v for k, v in state_dict.items() if not k.endswith("num_batches_tracked")}
    entries, started_anew = adapt(model, entries, layout, new_head)
    expected = variables.keys() - started_anew
    problems = [f"missing: {key}" for key in variables if key in expected - entries.keys()]
    problems += [f"left over: {key}" for key in entries if key not in expected]
    arrays = {}
    for key in expected & entries.keys():
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


def read_state_dict(model: keras.Model, layout: Layout) -> dict[str, np.ndarray]:
    """A model's weights, float32, in PyTorch's layout under the keys of `layout`."""
    arrays = {
        layout.key(path): keras.ops.convert_to_numpy(variable).astype("float32")
        for path, variable in weights_by_path(model).items()
    }
    return {key: to_torch_layout(array, key) for key, array in arrays.items()}


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


def to_torch_layout(array: np.ndarray, key: str) -> np.ndarray:
    """Reorder a Keras weight for PyTorch: the inverse of `to_keras_layout`.

    The dense layers of a gate are 1x1 convolutions in timm and Cadene's code, and
    linear layers in the authors' CBAM.
    """
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    elif array.ndim == 2:
        array = array.T
        if GATE.search(key):
            array = array[:, :, None, None]
    return np.ascontiguousarray(array)
