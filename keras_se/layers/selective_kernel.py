"""Selective Kernel convolution: Li, Wang, Hu, Yang, https://arxiv.org/abs/1903.06586."""

import keras
from keras import ops

from ._branch_geometry import Geometry, branch_geometry, check_kernel_sizes, check_strides
from ._common import (
    check_channels_last,
    check_count,
    check_feature_map,
    mean,
    reduced_width,
)
from ._inner import freeze, frozen_names, inner_conv, inner_dense, inner_norm, with_policies
from ._selective_kernel_lowering import lower_selective_kernel
from .batch_norm import BatchNorm
from .grouped_conv import GroupedConv2D


@keras.saving.register_keras_serializable("keras_se")
class SelectiveKernelConv2D(keras.layers.Layer):
    """A convolution that selects its kernel size, channel by channel (equations 1-6).

        split:  u_i = relu(BN(conv_i(x)))                u_i: (b, h, w, c), i = 1..M
        fuse:   z = relu(BN(W mean over h, w of sum u_i)) W: (c, d), d = max(c / r, L)
        select: a = softmax over i of (A_i z)            A_i: (d, c)
                y = sum a_i * u_i

    Args:
        filters: int, c of the paper.
        branches: int, M of the paper, at least 2.
        groups: int, G of the paper: groups of the convolutions.
        ratio: int, r of the paper.
        min_width: int, L of the paper.
        divisor: int. The width d is rounded to the nearest multiple of it; as in timm, but
            for a width that this makes smaller by more than a tenth.
        strides: 1 or 2.
        dilation: int, by which all branches are dilated further; only with strides=1.
        kernel_sizes: None, or one odd int per branch. None makes branch i a 3x3 kernel
            with dilation i, standing for 3, 5, 7, ... pixels at the cost of 3; (3, 5)
            makes them true kernels.
        split_input: bool. Each branch sees its own share of the input channels (timm).
        activation: activation of the branches and of the fused width.
        epsilon: float, BatchNorm's.
        momentum: float, BatchNorm's.
        kernel_initializer: initializer of all kernels.
        kernel_regularizer: regularizer of all kernels.
        frozen: names of inner layers that do not train, such as ("conv0", "norm0").
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels).
        training: bool, whether BatchNorm uses and updates batch statistics.

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: for fewer than two branches, filters or input channels that `groups`
            (and, with `split_input`, `branches`) do not divide, ratio < 1 or > filters,
            strides other than 1 and 2, strides=2 with a dilation, an even kernel size or not
            one per branch, an input of another rank or with unknown channels, or a
            channels-first data format.

    >>> layer = SelectiveKernelConv2D(32, groups=8, strides=2)
    >>> tuple(layer(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 4, 4, 32)
    """

    def __init__(
        self,
        filters: int,
        branches: int = 2,
        groups: int = 32,
        ratio: int = 16,
        min_width: int = 32,
        divisor: int = 1,
        strides: int = 1,
        dilation: int = 1,
        kernel_sizes: tuple[int, ...] | None = None,
        split_input: bool = False,
        activation="relu",
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        frozen: tuple[str, ...] = (),
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        self.filters = check_count("filters", filters)
        self.branches = check_count("branches", branches, minimum=2)
        self.groups = check_count("groups", groups)
        self.ratio = check_count("ratio", ratio)
        self.min_width = check_count("min_width", min_width)
        self.divisor = check_count("divisor", divisor)
        if filters % groups:
            raise ValueError(
                f"`filters` must be divisible by `groups`. "
                f"Received: filters={filters}, groups={groups}"
            )
        self.dilation = check_count("dilation", dilation)
        self.strides = check_strides(strides, dilation)
        self.kernel_sizes = check_kernel_sizes(kernel_sizes, branches)
        self.split_input = split_input
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.momentum = momentum
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.frozen = tuple(frozen)

    def build(self, input_shape):
        channels = check_feature_map(self, input_shape)
        shares = self.branches if self.split_input else 1
        if channels % (self.groups * shares):
            raise ValueError(
                f"The input channels must be divisible by `groups`"
                f"{' times `branches`' if self.split_input else ''}. Received: "
                f"channels={channels}, groups={self.groups}, branches={self.branches}"
            )
        branch_shape = (None, None, None, channels // shares)  # padding comes later
        self.convs = [self._conv(i) for i in range(self.branches)]
        self.norms = [self._norm(f"norm{i}") for i in range(self.branches)]
        width = reduced_width(self.filters, self.ratio, self.divisor, self.min_width)
        self.reduce = inner_dense(self, width, "reduce", use_bias=False)
        self.reduce_norm = self._norm("reduce_norm")
        self.select = inner_dense(self, self.branches * self.filters, "select", use_bias=False)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build(branch_shape)
            norm.build((None, None, None, self.filters))
        self.reduce.build((None, self.filters))
        self.reduce_norm.build((None, width))
        self.select.build((None, width))
        freeze(self, self.frozen)

    def geometry(self, index: int) -> Geometry:
        """How branch `index` pads, strides and dilates."""
        if self.kernel_sizes is None:
            return branch_geometry(3, self.dilation * (index + 1), self.strides)
        return branch_geometry(self.kernel_sizes[index], self.dilation, self.strides)

    def _conv(self, index):
        shape = self.geometry(index)
        return inner_conv(
            self,
            self.filters,
            shape.kernel_size,
            f"conv{index}",
            GroupedConv2D,
            strides=shape.strides,
            dilation_rate=shape.dilation,
            groups=self.groups,
            padding="valid" if shape.pad else "same",
            use_bias=False,
        )

    def _norm(self, name):
        return inner_norm(self, name, BatchNorm, data_format="channels_last")

    def split(self, inputs, training=None):
        """The branches of a feature map: M tensors (batch, height, width, filters)."""
        shares = [inputs] * self.branches
        if self.split_input:
            shares = ops.split(inputs, self.branches, axis=-1)
        return [self._branch(i, share, training) for i, share in enumerate(shares)]

    def _branch(self, index, x, training):
        shape = self.geometry(index)
        if shape.skip_before:
            x = x[:, ::2, ::2]
        if shape.pad:
            x = ops.pad(x, ((0, 0), (shape.pad, shape.pad), (shape.pad, shape.pad), (0, 0)))
        x = self.convs[index](x)
        if shape.skip_after:
            x = x[:, ::2, ::2]
        return self.activation(self.norms[index](x, training=training))

    def select_branches(self, branches, training=None):
        """Softmax weights of the branches: (batch, M, filters), summing to 1 over M."""
        pooled = mean(sum(branches), (1, 2))  # (b, c)
        fused = self.activation(self.reduce_norm(self.reduce(pooled), training=training))
        logits = ops.reshape(self.select(fused), (-1, self.branches, self.filters))
        return ops.softmax(logits, axis=1)

    def call(self, inputs, training=None):
        branches = self.split(inputs, training)
        weights = self.select_branches(branches, training)
        return sum(u * weights[:, i, None, None, :] for i, u in enumerate(branches))

    def compute_output_shape(self, input_shape):
        size = (s and -(-s // self.strides) for s in input_shape[1:3])
        return (input_shape[0], *size, self.filters)

    def lower(self, inputs, name):
        """Plain convolutions; two branches select by one sigmoid, which int8 keeps whole."""
        return lower_selective_kernel(self, inputs, name)

    def get_config(self):
        return with_policies(self, super().get_config()) | {
            "filters": self.filters,
            "branches": self.branches,
            "groups": self.groups,
            "ratio": self.ratio,
            "min_width": self.min_width,
            "divisor": self.divisor,
            "strides": self.strides,
            "dilation": self.dilation,
            "kernel_sizes": self.kernel_sizes,
            "split_input": self.split_input,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "frozen": frozen_names(self, self.frozen),
        }
