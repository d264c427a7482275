"""The end of a residual block as one layer: BatchNorm, gate, addition, activation."""

import keras
from keras import ops

from ..lowering import lower_layer
from ._common import check_channels_last, check_feature_map
from ._inner import freeze, frozen_names, inner_norm
from .batch_norm import BatchNorm
from .mean_gate import MeanGate


@keras.saving.register_keras_serializable("keras_se")
class ResidualTail(keras.layers.Layer):
    """y = activation(gate(BN(residual)) + shortcut).

    One layer, so that the four can share their work. Where a gate looks at spatial means
    only (`MeanGate`: SE, ECA), the means follow from BatchNorm's own statistics, and
    normalisation, gate, addition and activation are one elementwise pass:

        u = residual, k and o = BatchNorm's scale and offset, z = k mean(u) + o
        y = activation(u * (s k) + s o + shortcut),   s = gates of z    s: (b, 1, 1, c)

    so a training step with SE costs what one without costs. Sublayers: `norm`, and
    `gate` if there is one.

    Args:
        gate: None, or a layer that keeps the shape of the residual (see `GATES`), in any precision.
        activation: activation after the addition.
        inner_activation: activation between BatchNorm and the gate; None in the papers,
            "relu" in the released SE-ResNet-18 and 34.
        epsilon: float, BatchNorm's.
        momentum: float, BatchNorm's.
        fused: bool. False computes the formula step by step, with the same weights.
        frozen: names of inner layers that do not train: ("norm",) or ().
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: the pair [residual, shortcut], both (batch, height, width, channels).
        training: bool, whether BatchNorm uses and updates batch statistics.

    Returns:
        A tensor of the shape and dtype of the residual.

    Raises:
        ValueError: for a gate that is no layer or changes the shape, inputs that are not a
            pair of equal shapes, another rank or unknown channels, or a channels-first data
            format.

    >>> x = keras.ops.ones((1, 7, 7, 16))
    >>> tuple(ResidualTail()([x, x]).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        gate: keras.layers.Layer | None = None,
        activation="relu",
        inner_activation=None,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        fused: bool = True,
        frozen: tuple[str, ...] = (),
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        if not isinstance(gate, keras.layers.Layer | None):
            raise ValueError(f"`gate` must be a layer or None. Received: gate={gate!r}")
        self.gate = gate
        self.activation = keras.activations.get(activation)
        self.inner_activation = keras.activations.get(inner_activation)
        self.epsilon = epsilon
        self.momentum = momentum
        self.fused = fused
        self.frozen = tuple(frozen)

    def build(self, input_shape):
        if len(input_shape) != 2 or tuple(input_shape[0]) != tuple(input_shape[1]):
            raise ValueError(
                f"ResidualTail '{self.name}' needs a residual and a shortcut of equal shape. "
                f"Received: input_shape={input_shape}"
            )
        check_feature_map(self, input_shape[0])
        self.norm = inner_norm(self, "norm", BatchNorm, data_format="channels_last")
        self.norm.build(input_shape[0])
        if self.gate is not None and not self.gate.built:  # a loaded gate comes built
            self.gate.build(input_shape[0])
        self._check_gate(tuple(input_shape[0]))
        freeze(self, self.frozen)

    def _check_gate(self, shape):
        if self.gate is None:
            return
        gated = self.gate.compute_output_spec(keras.KerasTensor(shape, self.compute_dtype)).shape
        if tuple(gated) != shape:
            raise ValueError(
                f"The gate of ResidualTail '{self.name}' must keep the shape of the residual. "
                f"Received: {type(self.gate).__name__}, {shape} to {tuple(gated)}"
            )

    def gate_input(self, residual, training=None):
        """What the gate sees: the normalised residual."""
        return self.inner_activation(self.norm(residual, training=training))

    def call(self, inputs, training=None):
        residual, shortcut = inputs
        if self._fuses(residual, training):
            return self._call_fused(self.gate, residual, shortcut, training)
        residual = self.gate_input(residual, training)
        if self.gate is not None:
            residual = ops.cast(self.gate(residual, training=training), self.compute_dtype)
        return self.activation(residual + shortcut)

    def _fuses(self, residual, training) -> bool:
        gate, linear = self.gate, self.inner_activation is keras.activations.linear
        if not self.fused or not linear or gate is None:
            return False
        if gate.activity_regularizer is not None:  # it sees what the gate returns
            return False
        by_means = isinstance(gate, MeanGate) and gate.uses_means
        return by_means and not self.norm.uses_kernel(residual, training)

    def _call_fused(self, gate, residual, shortcut, training):
        scale, offset, means = self.norm.affine_map(residual, training, means=True)
        gates = gate.excite_means(ops.cast(means, gate.compute_dtype))  # (b, 1, 1, c)
        gates = ops.cast(gates, scale.dtype)
        x, shortcut = ops.cast(residual, scale.dtype), ops.cast(shortcut, scale.dtype)
        summed = x * (gates * scale) + (gates * offset + shortcut)
        return ops.cast(self.activation(summed), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def lower(self, inputs, name):
        """The primitive layers in the order of the formula."""
        x, shortcut = inputs
        x = lower_layer(self.norm, x, f"{name}_norm")
        if self.inner_activation is not keras.activations.linear:
            x = _activation(self.inner_activation, f"{name}_inner_act")(x)
        if self.gate is not None:
            x = lower_layer(self.gate, x, f"{name}_{self.gate.name}")
        x = keras.layers.Add(name=f"{name}_add", dtype="float32")([x, shortcut])
        return _activation(self.activation, name)(x)

    def get_config(self):
        return super().get_config() | {
            "gate": keras.saving.serialize_keras_object(self.gate),
            "activation": keras.activations.serialize(self.activation),
            "inner_activation": keras.activations.serialize(self.inner_activation),
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "fused": self.fused,
            # a gate holds its own flag
            "frozen": [n for n in frozen_names(self, self.frozen) if n == "norm"],
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"gate": keras.saving.deserialize_keras_object(config["gate"])})


def _activation(function, name):
    return keras.layers.Activation(function, name=name, dtype="float32")
