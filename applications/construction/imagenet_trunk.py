"""A trunk that starts from the ImageNet weights of keras.applications.

A network whose graph is that of keras.applications plus gates, and whose gates start as
the identity, then computes exactly what the trained network computes.
"""

import re

import keras
import numpy as np

from ...walk import weights_by_path
from .spec import NetworkSpec, TrunkSource

IMAGENET_TRUNK = "imagenet-trunk"  # the value of `weights`

GATE = re.compile(r"(^|[_/])gate/")
HEAD = re.compile(r"^(predictions|conv_preds)/")
EPSILON = 1e-5  # of BatchNorm where a convolution's bias is folded into it


def check_trunk(spec: NetworkSpec):
    """Refuse a network that would not compute what the trained trunk computes.

    Raises:
        ValueError: if the graph is not that of keras.applications, or the gates do not
            start as the identity.
    """
    if spec.imagenet_trunk is None or spec.conv is not None:
        raise ValueError(
            f'weights="{IMAGENET_TRUNK}" needs the graph of keras.applications: '
            f"{spec.name} has it with conv=None and variant among {trunk_variants(spec)}. "
            f"Received: conv={spec.conv!r} and another variant or network"
        )
    if spec.attention is not None and not _starts_as_identity(spec.gate("gate")):
        raise ValueError(
            f'weights="{IMAGENET_TRUNK}" needs gates that start as the identity, such as '
            f'attention="se" with gate="sigmoid2". Received: attention={spec.attention!r}, '
            f"attention_options={dict(spec.attention_options)}"
        )


def trunk_variants(spec: NetworkSpec) -> list[str]:
    """The variants of a network that have the graph of keras.applications."""
    own = [name for name, v in spec.variants.items() if "imagenet_trunk" in v.changes]
    return own or (list(spec.variants) if spec.imagenet_trunk else [])


def _starts_as_identity(gate) -> bool:
    # Small integers: exact in float16 and bfloat16, too.
    x = np.random.default_rng(0).integers(-3, 4, (1, 8, 8, 256)).astype("float32")
    return np.allclose(keras.ops.convert_to_numpy(keras.ops.cast(gate(x), "float32")), x)


def load_imagenet_trunk(model: keras.Model, source: TrunkSource, images=None):
    """Download the ImageNet weights of keras.applications and give them to `model`.

    The classifier takes them too if it has the 1000 classes of ImageNet. What computes
    the symbolic tensor `images` is not part of the network.
    """
    names = {layer.name for layer in model.layers}
    with_top = "predictions" in names and model.get_layer("predictions").units == 1000
    application = getattr(keras.applications, source.application)
    trained = application(weights="imagenet", include_top=with_top, **source.options)
    network = model if images is None else keras.Model(images, model.output)
    load_trunk(network, trained, source.rules)


def load_trunk(model: keras.Model, source: keras.Model, rules: tuple[tuple[str, str], ...] = ()):
    """Give `model` all weights of `source`; nothing changes unless everything fits.

    Gates keep their weights. So does the classifier unless both have one for the same
    number of classes. A bias that stands before BatchNorm there and not here goes into
    the moving mean: BN(x + b) = gamma (x - (mean - b)) / sqrt(variance + epsilon) + beta.

    Args:
        model: a network of ours, with or without gates.
        source: the network of keras.applications with the same graph.
        rules: see `TrunkSource`.

    Raises:
        ValueError: if a weight is missing, left over or of another shape; all are listed.
    """
    variables = {p: w for p, w in weights_by_path(model).items() if not GATE.search(p)}
    arrays = _folded(source)
    variables, arrays = _without_differing_heads(variables, arrays)
    paths = {path: _rename(path, rules) for path in variables}
    if not rules:
        paths = dict(zip(variables, arrays, strict=False))
    problems = [f"missing: {p}" for p in variables if paths.get(p) not in arrays]
    problems += [f"left over: {p}" for p in arrays.keys() - set(paths.values())]
    fitting = {}
    for path in variables.keys() & paths.keys():
        if paths[path] in arrays:
            fitting[path] = _as_shape(arrays[paths[path]], variables[path].shape)
            if fitting[path] is None:
                problems.append(
                    f"shape: {path} is {tuple(variables[path].shape)}, "
                    f"{paths[path]} is {arrays[paths[path]].shape}"
                )
    if problems:
        raise ValueError(f"'{source.name}' does not fit '{model.name}':\n" + "\n".join(problems))
    for path, array in fitting.items():
        variables[path].assign(array)


def _folded(source) -> dict[str, np.ndarray]:
    """The weights of `source` by path, without the biases that BatchNorm can take."""
    weights = weights_by_path(source)
    arrays = {path: keras.ops.convert_to_numpy(w) for path, w in weights.items()}
    for bias in [path for path in arrays if path.endswith("_conv/bias")]:
        norm = bias.removesuffix("_conv/bias") + "_bn"
        if f"{norm}/moving_mean" in arrays:
            arrays[f"{norm}/moving_mean"] = arrays[f"{norm}/moving_mean"] - arrays.pop(bias)
            surplus = source.get_layer(norm).epsilon - EPSILON
            arrays[f"{norm}/moving_variance"] = arrays[f"{norm}/moving_variance"] + surplus
    return arrays


def _without_differing_heads(*networks):
    """Leave out the classifiers unless all networks have one for the same classes."""
    heads = [[w.shape[-1] for p, w in network.items() if HEAD.match(p)] for network in networks]
    if heads[0] == heads[1]:
        return networks
    return tuple({p: w for p, w in network.items() if not HEAD.match(p)} for network in networks)


def _rename(path: str, rules) -> str:
    for pattern, replacement in rules:
        path = re.sub(pattern, replacement, path)
    return path


def _as_shape(array, shape):
    """The array in the shape of a weight, None if it does not fit.

    A classifier can be a 1x1 convolution there and a dense layer here.
    """
    if array.shape[:2] == (1, 1) and len(shape) == 2:
        array = array[0, 0]
    return array if array.shape == tuple(shape) else None
