"""Where a class is seen: Grad-CAM, Selvaraju et al., https://arxiv.org/abs/1610.02391."""

import itertools
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from ..batches import batches
from ..graph import graph_of
from .trunk_and_head import trunk_and_head


def grad_cam(
    model: keras.Model,
    images,
    class_index: int | np.ndarray | None = None,
    layer: str | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Which parts of pictures speak for a class (equations 1 and 2).

        a_k = mean over h, w of dy / dA_k      y: the class's score before the softmax
        L = relu(sum over k of a_k A_k)        A: the feature map (b, h, w, k)

    Args:
        model: functional or Sequential classifier with one image input and one output
            (n, classes). A final softmax or sigmoid, as an activation or a layer, is left
            out.
        images: array (n, height, width, channels), as `model.predict` takes them.
        class_index: int, or integers (n,). None: each picture's most probable class.
        layer: name of the layer that makes the feature map, in the model or in one inside
            it; all that follows must be computed from it. None: the last feature map larger
            than one pixel.
        batch_size: int >= 1, pictures at a time.

    Returns:
        float32 array (n, height, width) of the pictures' size, each map from 0 to 1 (all 0
        where nothing speaks for the class).

    Raises:
        ValueError: for another kind of model, a layer that has no such feature map, class
            indices that are out of range or not one per picture, or a batch size below 1.

    >>> images = keras.Input((8, 8, 3))
    >>> x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
    >>> model = keras.Model(images, keras.layers.Dense(2, "softmax")(x))
    >>> grad_cam(model, np.ones((5, 8, 8, 3))).shape
    (5, 8, 8)
    """
    images = np.asarray(images)
    graph = graph_of(model)
    classes = _check_model(model, graph, images)
    trunk, head = trunk_and_head(graph, layer)
    indices: Iterable = itertools.repeat(None)
    if class_index is not None:
        chosen = _checked_classes(class_index, len(images), classes)
        indices = batches(np.broadcast_to(chosen, len(images)), batch_size)
    found = []
    for batch, index in zip(batches(images, batch_size), indices, strict=False):
        maps = trunk(ops.convert_to_tensor(batch))
        if index is None:
            index = ops.convert_to_numpy(ops.argmax(head(maps), axis=-1))
        weights = ops.one_hot(np.asarray(index, "int32"), classes)
        gradient = _gradient(lambda a, w=weights: ops.sum(ops.cast(head(a), w.dtype) * w), maps)
        found.append(_maps(maps, gradient, images.shape[1:3]))
    return np.concatenate(found)


def _check_model(model, graph, images) -> int:
    output = graph.outputs[0].shape
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(output) != 2:
        raise ValueError(
            f"Grad-CAM needs one image input and one output (n, classes). Received: "
            f"{model.name!r} with inputs {[tuple(t.shape) for t in graph.inputs]} and outputs "
            f"{[tuple(t.shape) for t in graph.outputs]}"
        )
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"`images` must be an array (n, height, width, channels) with n >= 1. "
            f"Received: shape {images.shape}"
        )
    return output[1]


def _checked_classes(class_index, count, classes):
    chosen = np.asarray(class_index)
    whole = chosen.dtype.kind in "iu" and chosen.shape in ((), (count,))
    if not whole or chosen.min() < 0 or chosen.max() >= classes:
        raise ValueError(
            f"`class_index` must be an int in [0, {classes}) or one for each of {count} "
            f"pictures. Received: class_index={class_index!r}"
        )
    return chosen


def _gradient(function, x):
    """Gradient of a scalar function, on the backend that runs Keras."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    if backend == "torch":
        import torch

        x = x.detach().requires_grad_()
        return torch.autograd.grad(function(x), x)[0]
    raise ValueError(f"Grad-CAM needs TensorFlow, JAX or PyTorch. Received: backend {backend!r}")


def _maps(maps, gradient, size):
    """L, resized to the pictures and scaled to [0, 1]."""
    maps, gradient = ops.cast(maps, "float32"), ops.cast(gradient, "float32")
    weights = ops.mean(gradient, axis=(1, 2), keepdims=True)  # (b, 1, 1, k)
    cam = ops.relu(ops.sum(weights * maps, axis=-1, keepdims=True))  # (b, h, w, 1)
    cam = ops.convert_to_numpy(ops.image.resize(cam, size, interpolation="bilinear"))[..., 0]
    highest = cam.max(axis=(1, 2), keepdims=True)
    return np.divide(cam, highest, out=np.zeros_like(cam), where=highest > 0)
