"""Split a lowered model into the operators that an int8 file has."""

import keras
import numpy as np

from ...graph import unique_names
from .graph import Node, copy_of, trace
from .operators import (
    DIVISIONS,
    OPERATORS,
    activation,
    affine,
    average,
    normalization,
    operator,
    pairwise,
    permuted_channels,
    separable,
)

layers = keras.layers
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
_ACTIVATED = (*_CONVOLUTIONS, layers.Dense, layers.SeparableConv2D)


def canonical(lowered: keras.Model) -> keras.Model:
    """Rebuild a lowered model so that every layer is one int8 operator, or folds into one.

    - Activations stand apart from the layers that carried them; swish and the hard functions
      are written out, because an int8 file has no such operators.
    - A separable convolution becomes its two convolutions.
    - BatchNorm stays where a convolution precedes it, and folds there at conversion. Elsewhere
      it becomes a depthwise 1x1 convolution, with frozen statistics. So do `Rescaling` (but for
      factors that differ by position), `Normalization`, `x * 2.0`, `x / 127.5` and `x + 3.0`,
      which stay constants.
    - `x[..., ::-1]`, or a stack of `x[..., 2]` and its like, is a constant convolution: BGR of RGB,
      as `keras.applications` has it.
    - Sums and products have two terms, and an average is a sum and a factor.

    Args:
        lowered: result of `lower`, with an open batch.

    Returns:
        An equal functional model, layers and weights of its own.
    """
    nodes = trace(lowered)[1:]
    tensor = lowered.inputs[0]
    inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    rewrite, calls = _Rewrite(nodes), iter(nodes)
    outputs = lowered._run_through_graph(
        inputs, call_fn=lambda *args, **kwargs: rewrite.call(next(calls), *args, **kwargs)
    )
    return keras.Model(inputs, keras.tree.flatten(outputs)[0], name=lowered.name)


class _Rewrite:
    """One walk over a lowered model; each method returns the symbolic output."""

    def __init__(self, nodes: list[Node]):
        # So that a shared layer stays shared.
        self.copies: dict[int, keras.Operation] = {}
        self.unique_name = unique_names({node.operation.name for node in nodes})
        self.named: set[int] = set()

    def name(self, operation) -> str:
        """For one call of an operation: its own name, and others for the calls that follow."""
        if id(operation) in self.named:
            return self.unique_name(operation.name)
        self.named.add(id(operation))
        return operation.name

    def call(self, node: Node, operation, *args, **kwargs):
        name = self.name(operation)
        # The classes of keras.ops are private; a layer of the user's may have the name of one.
        kind = "" if isinstance(operation, keras.Layer) else type(operation).__name__
        if isinstance(operation, layers.SeparableConv2D):
            return _activated(operation, separable(operation, args[0], name), name)
        if isinstance(operation, layers.BatchNormalization):
            return self.batch_norm(node, operation, args[0], name)
        if isinstance(operation, layers.Rescaling) and not _by_position(operation):
            return affine(args[0], operation.scale, operation.offset, name)
        if isinstance(operation, layers.Normalization):
            return normalization(operation, args[0], name)
        if isinstance(operation, (layers.Add, layers.Multiply)) and len(args[0]) > 2:
            return pairwise(operation, args[0], name)
        if isinstance(operation, layers.Average):
            return average(args[0], name)
        if kind in ("GetItem", "Stack") and (permuted := _permuted(operation, *args)) is not None:
            source, order = permuted
            return permuted_channels(source, order, name)
        if kind in (*OPERATORS, *DIVISIONS):
            return operator(operation, kind, *args, **kwargs)
        if isinstance(operation, (layers.Activation, layers.ReLU, layers.Softmax)):
            return activation(operation, args[0], name)
        return _activated(operation, self.copied(operation, name, *args, **kwargs), name)

    def copied(self, operation, name: str, *args, **kwargs):
        """The operation as it is, but for its activation; its name is that of its first call."""
        if id(operation) in self.copies:
            return self.copies[id(operation)](*args, **kwargs)
        changes: dict = {"name": name} if isinstance(operation, keras.Layer) else {}
        if isinstance(operation, _ACTIVATED):
            changes["activation"] = None
        copy = self.copies[id(operation)] = copy_of(operation, **changes)
        outputs = copy(*args, **kwargs)
        if isinstance(operation, keras.Layer):
            copy.set_weights(operation.get_weights())
        return outputs

    def batch_norm(self, node: Node, operation, x, name: str):
        if operation.axis not in (-1, len(x.shape) - 1):
            raise ValueError(
                f"{name!r} normalises along axis {operation.axis}; only the last one, that of the "
                "channels, is quantized"
            )
        producer = node.inputs[0]
        linear = producer.is_a(*_CONVOLUTIONS, layers.SeparableConv2D) and (
            producer.operation.activation is keras.activations.linear
        )
        if linear and producer.sole_user() is node:
            return self.copied(operation, name, x)
        gamma = operation.gamma if operation.scale else 1.0
        beta = operation.beta if operation.center else 0.0
        scale = gamma / np.sqrt(np.asarray(operation.moving_variance) + operation.epsilon)
        offset = beta - np.asarray(operation.moving_mean) * scale
        return affine(x, scale, offset, name, trainable=operation.trainable)


def _by_position(rescaling) -> bool:
    """Whether a `Rescaling` is a positive factor for each position of a map, and no more."""
    scale = np.asarray(rescaling.scale)
    one_for_all_channels = scale.ndim == 4 and scale.shape[-1] == 1 < scale.size
    return bool(one_for_all_channels and np.all(scale > 0) and not np.any(rescaling.offset))


def _permuted(operation, x, key=None):
    """A feature map and the order in which its channels are taken; None for anything else."""
    if key is not None:
        listed = isinstance(key, (list, tuple)) and tuple(key) == (Ellipsis, slice(None, None, -1))
        reverses = listed and len(x.shape) == 4
        return (x, range(x.shape[-1])[::-1]) if reverses else None
    made_by = [tensor._keras_history for tensor in x]
    calls = [each.operation._inbound_nodes[each.node_index] for each in made_by]
    if any(type(call.operation).__name__ != "GetItem" for call in calls):
        return None
    maps = [call.arguments.args[0] for call in calls]
    keys = [call.arguments.args[1] for call in calls]
    same = all(each is maps[0] for each in maps) and len(maps[0].shape) == 4
    channels = all(isinstance(k, (list, tuple)) and _is_channel(*k) for k in keys)
    if not same or not channels or operation.axis not in (-1, 3):
        return None
    return maps[0], [key[1] for key in keys]


def _is_channel(*key) -> bool:
    return len(key) == 2 and key[0] is Ellipsis and isinstance(key[1], int)


def _activated(operation, x, name: str):
    """With the activation that the operation carried, if it carries one."""
    if not isinstance(operation, _ACTIVATED):
        return x
    return activation(layers.Activation(operation.activation), x, f"{name}_activation")
