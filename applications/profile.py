"""What a model costs: parameters, multiply-accumulates and activations, layer by layer."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from ..walk import inner_layers, watching

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@dataclass(frozen=True)
class LayerCost:
    """The cost of one call of one layer, for one picture."""

    name: str  # the layer's path in the model
    kind: str  # the layer's class
    output_shape: tuple[int | None, ...]
    parameters: int  # trainable and not
    macs: int  # multiply-accumulates of convolutions and dense layers

    @property
    def activations(self) -> int:
        """Numbers in the layer's output."""
        return math.prod(size or 0 for size in self.output_shape[1:])


@dataclass(frozen=True)
class Profile:
    """The cost of a model for one picture."""

    parameters: int  # trainable
    non_trainable_parameters: int
    macs: int
    layers: tuple[LayerCost, ...]

    @property
    def gmacs(self) -> float:
        """1e9 multiply-accumulates."""
        return self.macs / 1e9

    @property
    def activations(self) -> int:
        """Numbers in the outputs of all convolutions and dense layers."""
        return sum(layer.activations for layer in self.layers if layer.macs)


def profile(model: keras.Model, input_shape: tuple[int, int, int] | None = None) -> Profile:
    """Measure a model by running it once on a black picture.

    Every call of every layer is recorded, also inside composite layers and nested
    models. MACs count convolutions and dense layers, as the papers' tables do.

    Args:
        model: any built Keras model with one image input.
        input_shape: (height, width, channels); needed where the model leaves it open.

    Returns:
        A `Profile`. Its layers are in the order of their calls.

    Raises:
        ValueError: if the size of the picture is unknown.

    >>> profile(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])).macs
    3888
    """
    shape = tuple(input_shape or model.input_shape[1:])
    if None in shape:
        raise ValueError(
            f"The model takes pictures of any size: pass `input_shape`. Received: {shape}"
        )
    calls: list[LayerCost] = []

    def note(path, layer, inputs, outputs):
        if hasattr(outputs, "shape"):
            shape, kind = tuple(outputs.shape), type(layer).__name__
            macs = _macs(layer, inputs, shape)
            calls.append(LayerCost(path, kind, shape, layer.count_params(), macs))

    innermost = (
        (path, layer, "call")
        for path, layer in inner_layers(model)
        if next(inner_layers(layer), None) is None
    )
    with watching(innermost, note):
        model(np.zeros((1, *shape), "float32"), training=False)
    return Profile(
        parameters=_count(model.trainable_weights),
        non_trainable_parameters=_count(model.non_trainable_weights),
        macs=sum(call.macs for call in calls),
        layers=tuple(calls),
    )


def _count(weights) -> int:
    return sum(math.prod(w.shape) for w in weights)


def _macs(layer, inputs, output_shape) -> int:
    """Each weight of a kernel is used once per output position; transposed, per input position."""
    if isinstance(layer, SEPARABLE):
        weights = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return weights * math.prod(output_shape[1:-1])
    if isinstance(layer, TRANSPOSED):
        return math.prod(layer.kernel.shape) * math.prod(inputs.shape[1:-1])
    if isinstance(layer, CONVOLUTIONS):
        return math.prod(layer.kernel.shape) * math.prod(output_shape[1:-1])
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(output_shape[1:-1])
    return 0
