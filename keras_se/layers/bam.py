"""Bottleneck Attention Module (BAM): Park, Woo, Lee, Kweon, https://arxiv.org/abs/1807.06514.

BatchNorm and ReLU of the hidden layers follow the authors' code,
https://github.com/Jongchan/attention-module.
"""

import keras
from keras import ops

from ..lowering import add_layer, lower_layer
from ..names import check_name
from ._common import (
    check_channels_last,
    check_count,
    check_feature_map,
    mean,
    reduced_width,
)
from ._inner import inner_conv, inner_norm
from .gate_functions import GATE_FUNCTIONS, check_gate, lower_gate

COMBINATIONS = {
    "sum": (ops.add, keras.layers.Add),
    "product": (ops.multiply, keras.layers.Multiply),
}


@keras.saving.register_keras_serializable("keras_se")
class BAM(keras.layers.Layer):
    """A channel branch and a spatial branch, joined before the gate function (equations 1-4).

        Mc = BN(W1 relu(BN(W0 mean over h, w of x)))  W0: (c, c/r), W1: (c/r, c)
        Ms = BN(f1x1(f3x3(f3x3(f1x1(x)))))            c -> c/r -> c/r -> c/r -> 1 channels
        y = x * (1 + gate(Mc + Ms))                   Mc: (b, 1, 1, c), Ms: (b, h, w, 1)

    f is a convolution, all but the last followed by BN and ReLU; the 3x3 ones are dilated.
    The authors' code multiplies the branches and leaves out the BN that ends each:
    `combine="product"`. Layers before a BN have no bias: BN cancels it.

    Args:
        ratio: int, r of the paper.
        dilation: int, d of the paper, of the 3x3 convolutions.
        combine: "sum" or "product" of the two branches.
        gate: name of the gate function; the paper's is "sigmoid". With "tanh" a zero last
            layer makes the whole an identity.
        epsilon: float, BatchNorm's.
        momentum: float, BatchNorm's.
        kernel_initializer: initializer of all kernels.
        kernel_regularizer: regularizer of all kernels.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.
        training: bool, whether BatchNorm uses and updates batch statistics.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: for ratio < 1 or > channels, dilation < 1, another combination or
            gate, an input of another rank or with unknown channels, or a channels-first data
            format.

    >>> tuple(BAM(ratio=4)(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 7, 7, 16)
    """

    def __init__(
        self,
        ratio: int = 16,
        dilation: int = 4,
        combine: str = "sum",
        gate: str = "sigmoid",
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.ratio = check_count("ratio", ratio)
        self.dilation = check_count("dilation", dilation)
        self.combine = check_name("combine", combine, COMBINATIONS)
        self.gate = check_gate(gate)
        self.epsilon = epsilon
        self.momentum = momentum
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        width = reduced_width(channels, self.ratio)
        self.channel = self._branch("channel", channels, [(width, 1), (channels, 1)])
        spatial = [(width, 1), (width, 3), (width, 3), (1, 1)]
        self.spatial = self._branch("spatial", channels, spatial)

    def _branch(self, name, channels, sizes):
        """Convolutions of the given (filters, kernel size), BN and ReLU between them."""
        branch = []
        for i, (filters, size) in enumerate(sizes):
            last = i == len(sizes) - 1
            normalised = not last or self.combine == "sum"
            options = {"padding": "same", "use_bias": not normalised}
            options["dilation_rate"] = self.dilation if size > 1 else 1
            branch.append(inner_conv(self, filters, size, f"{name}_conv{i}", **options))
            branch[-1].build((None, None, None, channels))
            if normalised:
                branch.append(inner_norm(self, f"{name}_norm{i}"))
                branch[-1].build((None, None, None, filters))
            if not last:
                branch.append(keras.layers.ReLU(dtype=self.dtype_policy, name=f"{name}_act{i}"))
            channels = filters
        return branch

    def attend(self, inputs, training=None):
        """M of the paper: (batch, height, width, channels), in [0, 1] for a sigmoid."""
        logits = []
        branches = (mean(inputs, (1, 2), keepdims=True), self.channel), (inputs, self.spatial)
        for x, branch in branches:
            for layer in branch:
                is_norm = isinstance(layer, keras.layers.BatchNormalization)
                x = layer(x, training=training) if is_norm else layer(x)
            logits.append(x)
        return GATE_FUNCTIONS[self.gate].function(COMBINATIONS[self.combine][0](*logits))

    def call(self, inputs, training=None):
        return inputs + inputs * self.attend(inputs, training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def lower(self, inputs, name):
        """The layers of both branches, then y = x + x * gate(...)."""

        def layer(kind, suffix, *args, **kwargs):
            return kind(*args, name=f"{name}{suffix}", dtype="float32", **kwargs)

        pool = layer(keras.layers.GlobalAveragePooling2D, "_squeeze", keepdims=True)
        logits = []
        for x, branch in ((add_layer(pool, inputs), self.channel), (inputs, self.spatial)):
            for part in branch:
                x = lower_layer(part, x, f"{name}_{part.name}")
            logits.append(x)
        total = layer(COMBINATIONS[self.combine][1], "_logits")(logits)
        gates = lower_gate(self.gate, total, name)
        gated = layer(keras.layers.Multiply, "_gated")([inputs, gates])
        return layer(keras.layers.Add, "")([inputs, gated])

    def get_config(self):
        return super().get_config() | {
            "ratio": self.ratio,
            "dilation": self.dilation,
            "combine": self.combine,
            "gate": self.gate,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
