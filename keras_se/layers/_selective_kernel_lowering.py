"""The deployed form of a selective kernel: ten operators for two branches."""

import keras
import numpy as np

from ..lowering import add_layer, lower_layer
from ._pointwise import lower_pointwise, pointwise


def lower_selective_kernel(layer, inputs, name: str):
    """Rebuild a `SelectiveKernelConv2D` from primitive layers."""
    branches = _lower_branches(layer, inputs, name)
    fused = _primitive(keras.layers.Add, f"{name}_fuse")(branches)
    pool = _primitive(keras.layers.GlobalAveragePooling2D, f"{name}_squeeze", keepdims=True)
    z = lower_pointwise(layer.reduce, pool(fused), f"{name}_reduce")
    z = lower_layer(layer.reduce_norm, z, f"{name}_reduce_norm")
    z = _activation(layer.activation, z, f"{name}_reduce_act")
    kernel = layer.select.get_weights()[0].reshape(-1, layer.branches, layer.filters)
    if layer.branches == 2:
        return _select_by_sigmoid(branches, z, kernel, name)
    return _select_by_softmax(branches, z, kernel, name)


def _primitive(kind, name, **arguments):
    return kind(name=name, dtype="float32", **arguments)


def _activation(function, x, name):
    return _primitive(keras.layers.Activation, name, activation=function)(x)


def _lower_branches(layer, inputs, name):
    branches = []
    for i, (conv, norm) in enumerate(zip(layer.convs, layer.norms, strict=True)):
        shape, prefix = layer.geometry(i), f"{name}_{i}"
        x = _share(inputs, i, layer.branches, prefix) if layer.split_input else inputs
        if shape.skip_before:
            x = _every_second_pixel(x, f"{prefix}_skip")
        if shape.pad:
            x = _primitive(keras.layers.ZeroPadding2D, f"{prefix}_pad", padding=shape.pad)(x)
        x = lower_layer(conv, x, f"{prefix}_conv")
        if shape.skip_after:
            x = _every_second_pixel(x, f"{prefix}_skip")
        x = lower_layer(norm, x, f"{prefix}_norm")
        branches.append(_activation(layer.activation, x, f"{prefix}_act"))
    return branches


def _share(x, index, branches, name):
    """The branch's share of the channels, as a 1x1 convolution that copies them."""
    channels = x.shape[-1]
    size = channels // branches
    copy = np.eye(channels, dtype="float32")[:, index * size : (index + 1) * size]
    return pointwise(x, copy, [], f"{name}_share", trainable=False)


def _every_second_pixel(x, name):
    """x[:, ::2, ::2] as a depthwise 1x1 convolution of ones, which XNNPACK delegates."""
    skip = _primitive(
        keras.layers.DepthwiseConv2D,
        name,
        kernel_size=1,
        strides=2,
        use_bias=False,
        trainable=False,
    )
    return add_layer(skip, x, [np.ones((1, 1, x.shape[-1], 1), "float32")])


def _select_by_sigmoid(branches, z, kernel, name):
    """softmax over two branches: g = sigmoid(l0 - l1), y = u1 + g (u0 - u1)."""
    logits = pointwise(z, kernel[:, 0] - kernel[:, 1], [], f"{name}_select")
    gate = _activation("sigmoid", logits, f"{name}_gate")
    first, second = branches
    difference = _primitive(keras.layers.Subtract, f"{name}_difference")([first, second])
    weighted = _primitive(keras.layers.Multiply, f"{name}_weighted")([difference, gate])
    return _primitive(keras.layers.Add, name)([second, weighted])


def _select_by_softmax(branches, z, kernel, name):
    """softmax over M branches, on logits ordered (filters, M) so that it runs along rows."""
    count, filters = kernel.shape[1:]
    by_filter = kernel.transpose(0, 2, 1).reshape(-1, count * filters)
    logits = pointwise(z, by_filter, [], f"{name}_select")
    rows = _primitive(keras.layers.Reshape, f"{name}_logits", target_shape=(filters, count))
    gates = _primitive(keras.layers.Softmax, f"{name}_gates")(rows(logits))
    gates = _primitive(keras.layers.Permute, f"{name}_gates_by_branch", dims=(2, 1))(gates)
    weighted = []
    for i, branch in enumerate(branches):
        crop = _primitive(keras.layers.Cropping1D, f"{name}_{i}_row", cropping=(i, count - 1 - i))
        gate = _primitive(keras.layers.Reshape, f"{name}_{i}_gate", target_shape=(1, 1, filters))
        weighted.append(
            _primitive(keras.layers.Multiply, f"{name}_{i}_weighted")([branch, gate(crop(gates))])
        )
    return _primitive(keras.layers.Add, name)(weighted)
