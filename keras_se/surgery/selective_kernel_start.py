"""A selective kernel in place of a convolution block, and the weights it starts with.

Its branches are relu(BN(conv)) and its softmax weights sum to 1:

    select: A = 0, so that each of M branches has the weight 1/M
    branch 1: the old kernel and BatchNorm, gamma and beta times M: M relu(v) = relu(M v)
    branches 2..M: gamma = 0, beta = 1e-7: nothing, but on ReLU's side that trains
"""

from keras import ops

from ..layers import SelectiveKernelConv2D
from .conv_block import ConvBlock
from .identity import fill

# What the new branches return: above zero, where ReLU has a gradient. In float16 it must be
# a normal number, since accelerators take smaller ones for zero.
ALIVE, ALIVE_IN_FLOAT16 = 1e-7, 1e-4


def selective_kernel(block: ConvBlock, options: dict) -> SelectiveKernelConv2D:
    """The layer, not yet built, with the geometry, name and dtype policy of the convolution.

    Args:
        block: what it replaces.
        options: the arguments that the user gave.
    """
    conv, norm = block.conv.operation, block.norm.operation
    taken_over = {"conv0": conv, "norm0": norm}
    defaults = {
        "kernel_regularizer": conv.kernel_regularizer,
        "ratio": min(16, conv.filters),  # the reduced width is at least min_width anyway
    }
    return SelectiveKernelConv2D(
        conv.filters,
        groups=conv.groups,
        strides=conv.strides[0],
        dilation=conv.dilation_rate[0],
        activation="linear" if block.activation is None else "relu",
        epsilon=norm.epsilon,
        momentum=norm.momentum,
        frozen=tuple(name for name, old in taken_over.items() if not old.trainable),
        name=conv.name,
        dtype=conv.dtype_policy,
        **defaults | options,
    )


def start_as(block: ConvBlock, layer: SelectiveKernelConv2D) -> None:
    """Give a built selective kernel the weights with which it computes what the block did.

    Raises:
        ValueError: if its first branch has no 3x3 kernel.
    """
    conv, norm = block.conv.operation, block.norm.operation
    if layer.convs[0].kernel.shape != conv.kernel.shape:
        raise ValueError(
            f"Layer '{block.path}': the first branch must have a 3x3 kernel to hold the old "
            f"one. Its shape: {tuple(layer.convs[0].kernel.shape)}"
        )
    layer.convs[0].kernel.assign(conv.kernel)
    count = layer.branches
    first, *others = layer.norms
    mean = ops.convert_to_tensor(norm.moving_mean)
    if conv.use_bias:
        mean = mean - ops.cast(conv.bias, mean.dtype)
    first.moving_mean.assign(mean)
    first.moving_variance.assign(norm.moving_variance)
    fill(first.gamma, 1.0)
    fill(first.beta, 0.0)
    if norm.scale:
        first.gamma.assign(norm.gamma)
    if norm.center:
        first.beta.assign(norm.beta)
    for scaled in (first.gamma, first.beta):
        scaled.assign(count * scaled)
    alive = 0.0
    if block.activation is not None:
        alive = ALIVE_IN_FLOAT16 if layer.compute_dtype == "float16" else ALIVE
    for other in others:
        fill(other.gamma, 0.0)
        fill(other.beta, alive)
    fill(layer.select.kernel, 0.0)
