"""A bias for each operator of an integer file that shares one with another."""

import copy

import numpy as np

from ..file import flatfile

_WITH_BIAS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def split_shared_biases(model) -> None:
    """Give every operator a bias in steps of its own input's scale times its kernel's.

    Integer kernels add the bias to a sum of products, in the step of the products, whatever
    scale the bias' tensor states. TensorFlow's converter (2.21) splits the bias of a layer that is
    called twice for int8, but not for int16: the second call, with an input of another scale,
    adds a bias that is wrong by the ratio of the scales. In CBAM, whose layers read the mean and
    the maximum, nothing is left of the gate (-7 dB).

    Args:
        model: an unpacked file, changed in place where a bias had the wrong scale.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if flatfile.operator_name(model, operator) not in _WITH_BIAS:
                continue
            step = _product_scale(model, graph, operator)
            if step is None:
                continue
            bias = graph.tensors[operator.inputs[2]]
            stated = np.asarray(bias.quantization.scale, "float64")
            if np.allclose(stated, step, rtol=1e-3, atol=0):
                continue
            operator.inputs = [*operator.inputs[:2], len(graph.tensors)]
            graph.tensors.append(_rescaled(model, bias, stated, step))


def _product_scale(model, graph, operator) -> np.ndarray | None:
    """Scale of input times kernel, of one or of all channels; None without a constant bias."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return None
    tensors = [graph.tensors[index] for index in operator.inputs[:3]]
    constant = model.buffers[tensors[2].buffer].data is not None
    if not constant or flatfile.dtype_name(tensors[2]) not in ("int32", "int64"):
        return None
    scales = [t.quantization and t.quantization.scale for t in tensors]
    if any(scale is None for scale in scales):
        return None
    return np.asarray(scales[0], "float64") * np.asarray(scales[1], "float64")


def _rescaled(model, bias, stated: np.ndarray, step: np.ndarray):
    """A copy of a bias, its buffer included, in other steps."""
    dtype = flatfile.dtype_name(bias)
    values = np.frombuffer(bytes(model.buffers[bias.buffer].data), dtype)
    limits = np.iinfo(dtype)
    stored = np.clip(np.round(values * (stated / step)), limits.min, limits.max).astype(dtype)
    buffer, tensor = copy.deepcopy(model.buffers[bias.buffer]), copy.deepcopy(bias)
    buffer.data = flatfile.as_array(stored.tobytes())
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    tensor.quantization.scale = np.broadcast_to(step, stated.shape).astype("float32")
    return tensor
