"""What a model costs: parameters, multiply-accumulates and activations, layer by layer."""

import math
import re
from dataclasses import dataclass

import keras
import numpy as np

from ..names import aligned
from ..walk import inner_layers, watching

CONVOLUTIONS = keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D
DEPTHWISE = keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
DENSE = keras.layers.Dense, keras.layers.EinsumDense
COUNTED = (*CONVOLUTIONS, *DEPTHWISE, *SEPARABLE, *TRANSPOSED, *DENSE)


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
    """The cost of a model for one picture; printed, a table of its layers."""

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

    def __str__(self) -> str:
        """A table of the layers that have weights or take multiplications, and the sums."""
        rows = [("layer", "kind", "output", "parameters", "MMACs")]
        for layer in self.layers:
            if layer.parameters or layer.macs:
                size = " x ".join(map(str, layer.output_shape[1:]))
                rows.append((layer.name, layer.kind, size, *_figures(layer.parameters, layer.macs)))
        trained, fixed = self.parameters, self.non_trainable_parameters
        rows.append(("all", "", "", *_figures(trained + fixed, self.macs)))
        rows.append(("trainable", "", "", f"{trained:,}", ""))
        return aligned(rows, left=(True, True, False, False, False))


def profile(model: keras.Model, input_shape: tuple[int, int, int] | None = None) -> Profile:
    """Measure a model by running it once on a black picture.

    Every call of every layer is recorded, also inside composite layers and nested
    models. MACs count convolutions and dense layers, as the papers' tables do; the products
    inside attention and recurrent layers are not among them.

    Args:
        model: any built Keras model with one image input.
        input_shape: (height, width, channels); needed where the model leaves it open.

    Returns:
        A `Profile`. Its layers are in the order of their calls.

    Raises:
        ValueError: for anything but a built model with one input, or if the size of the
            picture is unknown.

    >>> profile(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])).macs
    3888
    """
    shape = _picture_shape(model, input_shape)
    calls: list[LayerCost] = []

    def note(path, layer, inputs, outputs):
        if hasattr(outputs, "shape"):
            shape, kind = tuple(outputs.shape), type(layer).__name__
            macs = _macs(layer, inputs, shape)
            calls.append(LayerCost(path, kind, shape, layer.count_params(), macs))

    recorded = (
        (path, layer, "call")
        for path, layer in inner_layers(model)
        # A layer inside a convolution or a dense layer is its activation.
        if isinstance(layer, COUNTED) or next(inner_layers(layer), None) is None
    )
    with watching(recorded, note):
        model(np.zeros((1, *shape), "float32"), training=False)
    return Profile(
        parameters=_count(model.trainable_weights),
        non_trainable_parameters=_count(model.non_trainable_weights),
        macs=sum(call.macs for call in calls),
        layers=tuple(calls),
    )


def _figures(parameters: int, macs: int) -> tuple[str, str]:
    return f"{parameters:,}", f"{macs / 1e6:,.2f}"


def _picture_shape(model, input_shape) -> tuple[int, ...]:
    takes = getattr(model, "input_shape", None) if getattr(model, "built", False) else None
    if not isinstance(takes, tuple):
        raise ValueError(
            "`profile` needs a built model with one input. Received: model of type "
            f"{type(model).__name__}{'' if takes is None else f' with the inputs {takes}'}"
        )
    shape = takes[1:] if input_shape is None else input_shape
    if not isinstance(shape, tuple | list) or len(shape) != len(takes) - 1 or None in shape:
        raise ValueError(
            f"`input_shape` must be that of a picture for this model, {takes[1:]}, without None. "
            f"Received: input_shape={input_shape}"
        )
    return tuple(shape)


def _count(weights) -> int:
    return sum(math.prod(w.shape) for w in weights)


def _macs(layer, inputs, output_shape) -> int:
    """What each number of the output is summed from; transposed, where each input number goes."""
    outputs = math.prod(output_shape[1:])
    if isinstance(layer, SEPARABLE):
        *_, middle, filters = layer.pointwise_kernel.shape
        window = math.prod(layer.depthwise_kernel.shape[:-2])
        return outputs // filters * (window * middle + middle * filters)
    if isinstance(layer, TRANSPOSED):
        return math.prod(inputs.shape[1:]) * math.prod(layer.kernel.shape[:-1])
    if isinstance(layer, DEPTHWISE):
        return outputs * math.prod(layer.kernel.shape[:-2])
    if isinstance(layer, keras.layers.EinsumDense):
        _, of_kernel, of_output = re.split(",|->", layer.equation.replace(" ", ""))
        sizes = zip(of_kernel, layer.kernel.shape, strict=True)
        return outputs * math.prod(size for label, size in sizes if label not in of_output)
    if isinstance(layer, CONVOLUTIONS + DENSE):
        return outputs * math.prod(layer.kernel.shape[:-1])
    return 0
