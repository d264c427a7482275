"""Activations that integers lack, in operators that they have."""

from collections.abc import Callable

import keras
from keras import ops

from ...lowering import add_layer

_ACTIVATED = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Dense,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.EinsumDense,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., 2017


def _elu(x, alpha=1.0):
    positive = ops.relu(x)
    return positive + alpha * (ops.exp(x - positive) - 1.0)


def _log_sigmoid(x):
    """min(x, 0) + log(sigmoid(|x|)), whose logarithm is of 0.5 to 1."""
    return (x - ops.relu(x)) + ops.log(ops.sigmoid(ops.abs(x)))


def _softplus(x):
    return ops.relu(x) - ops.log(ops.sigmoid(ops.abs(x)))


FORMS: dict[Callable, Callable] = {
    keras.activations.celu: _elu,
    keras.activations.elu: _elu,
    keras.activations.log_sigmoid: _log_sigmoid,
    keras.activations.mish: lambda x: x * ops.tanh(_softplus(x)),
    keras.activations.selu: lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA),
    keras.activations.softplus: _softplus,
}
# The classes behind `keras.ops.elu` and its like are private.
_OPERATIONS = {
    "Celu": keras.activations.celu,
    "Elu": keras.activations.elu,
    "LogSigmoid": keras.activations.log_sigmoid,
    "Selu": keras.activations.selu,
    "Softplus": keras.activations.softplus,
}


class IntegerActivation(keras.layers.Layer):
    """One of `FORMS`, by the name of the function, or ELU of another alpha."""

    def __init__(self, function: str, alpha: float | None = None, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.alpha = alpha

    def call(self, inputs):
        if self.alpha is not None:
            return _elu(inputs, self.alpha)
        return FORMS[getattr(keras.activations, self.function)](inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"function": self.function, "alpha": self.alpha}


def integer_activation(operation, graph, lowering, recipe):
    """Write ELU, SELU, CELU, softplus, mish and log-sigmoid for integers.

    ELU has no integer form in TensorFlow's quantizer (2.21), nor has the negation in a
    log-sigmoid. The others hold the exponential of positive numbers, which overflows or takes
    all of a range; CELU reads its input through a minimum, whose range its maximum gets too
    (1 dB). Here only negative numbers are raised, and only what is over 0.5 has its logarithm
    taken.
    """
    if recipe.activations == "float32":
        return None
    kind = type(operation)
    if kind is keras.layers.ELU or _is_operation(operation, "Elu"):
        options = {"function": "elu", "alpha": operation.alpha}
    elif _is_operation(operation, *_OPERATIONS) and getattr(operation, "alpha", 1.0) == 1.0:
        options = {"function": _OPERATIONS[kind.__name__].__name__}
    elif kind in (keras.layers.Activation, *_ACTIVATED) and operation.activation in FORMS:
        options = {"function": operation.activation.__name__}
    else:
        return None

    def build(new):
        x, name = new(operation.input), operation.name
        if kind in _ACTIVATED:
            linear = {"activation": None, "name": f"{name}_linear"}
            layer = kind.from_config(operation.get_config() | linear)
            x = add_layer(layer, x, operation.get_weights())
        return IntegerActivation(**options, name=name, dtype="float32")(x)

    return build


def _is_operation(operation, *names: str) -> bool:
    """Whether it is one of `keras.ops`; a layer of the user's may have the same name."""
    return not isinstance(operation, keras.Layer) and type(operation).__name__ in names
