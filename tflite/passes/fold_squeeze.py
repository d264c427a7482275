"""Let a squeeze read the input of the 1x1 convolution before it."""

import keras
import numpy as np

from ...lowering import add_layer


def fold_squeeze(operation, graph, lowering, recipe):
    """Compute a squeeze from the narrow input of the 1x1 convolution that precedes it.

    The mean commutes with a linear map, mean(BN(W x)) = BN(W mean(x)), and the map then
    folds into the layer R that reads the mean:

        R mean(BN(W x)) + b = (R B W) mean(x) + (R o + b)    BN(u) = B u + o, B diagonal

    In a bottleneck of width c the pool reads c/4 channels instead of c, and the reduction is
    a (c/4, c/r) layer instead of (c, c/r): both cost a quarter. Latency at 224 over
    ResNet-50, one thread, AVX512-VNNI (benchmarks/latency.py), before and after: SE-ResNet-50
    1.023 and 1.011 in float32, 1.068 and 1.062 in int8; CBAM-ResNet-50, whose mean folds and
    whose maximum does not, 1.047 and 1.050, 1.152 and 1.148.

    Applies where R, a 1x1 convolution or dense layer, reads a global average pool of a 1x1
    convolution that has fewer input channels than filters, with or without BatchNorm, and
    with nothing nonlinear in between: the gates of bottlenecks, not of basic blocks.
    """
    if not lowering.fold_squeeze or not _is_matrix(operation, any_activation=True):
        return None
    pool = graph.producer(operation)
    if not isinstance(pool, keras.layers.GlobalAveragePooling2D):
        return None
    if pool.data_format != "channels_last":
        return None
    before = graph.producer(pool)
    is_norm = isinstance(before, keras.layers.BatchNormalization) and before.axis in (-1, 3)
    norm = before if is_norm else None
    conv = graph.producer(norm) if norm is not None else before
    if not isinstance(conv, keras.layers.Conv2D) or not _is_matrix(conv):
        return None
    if conv.input.shape[-1] >= conv.filters:
        return None

    def build(new):
        kernel, bias = _matrix(conv)
        if norm is not None:
            scale, offset = _affine_map(norm)
            kernel, bias = kernel * scale, bias * scale + offset
        reduce_kernel, reduce_bias = _matrix(operation)
        kernel, bias = kernel @ reduce_kernel, bias @ reduce_kernel + reduce_bias
        copy = keras.layers.GlobalAveragePooling2D(
            keepdims=pool.keepdims, name=f"{operation.name}_squeeze", dtype="float32"
        )
        config = operation.get_config() | {"use_bias": True}
        layer = type(operation).from_config(config)
        shape = (*operation.kernel.shape[:-2], *kernel.shape)
        return add_layer(layer, add_layer(copy, new(conv.input)), [kernel.reshape(shape), bias])

    return build


def _is_matrix(operation, any_activation: bool = False) -> bool:
    """Whether a layer multiplies each pixel by one matrix."""
    if isinstance(operation, keras.layers.DepthwiseConv2D):
        return False
    if isinstance(operation, keras.layers.Conv2D):
        if (operation.kernel_size, operation.strides, operation.groups) != ((1, 1), (1, 1), 1):
            return False
    elif not isinstance(operation, keras.layers.Dense):
        return False
    return any_activation or operation.activation is keras.activations.linear


def _matrix(layer):
    """Kernel (c, filters) and bias (filters,) in float64."""
    kernel, *bias = (np.asarray(weight, "float64") for weight in layer.get_weights())
    inputs, outputs = kernel.shape[-2:]
    return kernel.reshape(inputs, outputs), bias[0] if bias else np.zeros(outputs)


def _affine_map(norm):
    """Scale and offset of a BatchNorm at inference, in float64."""
    mean = np.asarray(norm.moving_mean, "float64")
    scale = 1 / np.sqrt(np.asarray(norm.moving_variance, "float64") + norm.epsilon)
    if norm.scale:
        scale = scale * np.asarray(norm.gamma, "float64")
    return scale, (np.asarray(norm.beta, "float64") if norm.center else 0) - mean * scale
