"""The layers inside a layer: each computes and trains as the one around it."""

import re

import keras
from keras.dtype_policies import DTypePolicyMap

from ..walk import inner_layers


def shared(layer: keras.layers.Layer, name: str | None = None) -> dict:
    """What a layer hands to every layer inside it: whether it trains, and its precision.

    Args:
        layer: the outer layer.
        name: of the inner layer; None for one that has layers of its own inside, to which a map
            of policies (see `with_policies`) is handed on whole.
    """
    policy = layer.dtype_policy
    # Keras' dense layer asks its policy itself whether it is quantized, which a map never is.
    if name is not None and isinstance(policy, DTypePolicyMap):
        policy = policy[f"{layer.path}/{name}"]
    return {"trainable": layer.trainable, "dtype": policy}


def inner_dense(layer, units: int, name: str, **options) -> keras.layers.Dense:
    """A dense layer whose kernel starts as `layer` says, unless `options` do."""
    options = _with_kernel(layer, options) | shared(layer, name)
    return keras.layers.Dense(units, name=name, **options)


def inner_conv(layer, filters: int, size, name: str, kind=keras.layers.Conv2D, **options):
    """A convolution whose kernel starts as `layer` says."""
    options = _with_kernel(layer, options) | shared(layer, name)
    return kind(filters, size, name=name, data_format="channels_last", **options)


def inner_norm(layer, name: str, kind=keras.layers.BatchNormalization, **options):
    """A batch normalisation with the epsilon and the momentum of `layer`."""
    numbers = {"epsilon": layer.epsilon, "momentum": layer.momentum}
    return kind(name=name, **numbers, **options, **shared(layer, name))


def _with_kernel(layer, options: dict) -> dict:
    if "kernel_initializer" not in options:
        options["kernel_initializer"] = fresh(layer.kernel_initializer)
    return options | {"kernel_regularizer": layer.kernel_regularizer}


def fresh(initializer):
    """A copy of an initializer that draws numbers of its own.

    An initializer without a seed repeats its draw for equal shapes: kernels that shared
    one object would start equal.
    """
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


def freeze(layer: keras.layers.Layer, names: tuple[str, ...]) -> None:
    """Stop the training of inner layers; Keras saves the flag of the outer layer only.

    Args:
        layer: built layer.
        names: of layers directly inside it.

    Raises:
        ValueError: for a name that no inner layer has.
    """
    inner = {part.name: part for part in _parts(layer)}
    if unknown := sorted(set(names) - set(inner)):
        raise ValueError(
            f"`frozen` must name layers inside {type(layer).__name__} '{layer.name}': "
            f"{sorted(inner)}. Received: {unknown}"
        )
    for name in names:
        inner[name].trainable = False


def frozen_names(layer: keras.layers.Layer, names: tuple[str, ...]) -> list[str]:
    """The inner layers that do not train although their layer does: `names` until it is built."""
    if not (layer.built and layer.trainable):
        return list(names)
    return [part.name for part in _parts(layer) if not part.trainable]


def _parts(layer):
    return layer._flatten_layers(include_self=False, recursive=False)  # as in walk.py


def with_policies(layer: keras.layers.Layer, config: dict) -> dict:
    """A layer's configuration with the precision of the layers inside it.

    `model.quantize` changes inner layers, and Keras saves the policy of the outer one only. A
    map of policies goes by paths, which in a loaded model begin with other scopes than in the
    one that was saved.
    """
    quantized = {
        rf"^(.*/)?{re.escape(f'{layer.name}/{path}')}$": inner.dtype_policy
        for path, inner in inner_layers(layer)
        if inner.quantization_mode
    }
    if not quantized:
        return config
    own = layer.dtype_policy
    own = own.default_policy if isinstance(own, DTypePolicyMap) else own
    policies = DTypePolicyMap(own.name, quantized)
    return config | {"dtype": keras.dtype_policies.serialize(policies)}
