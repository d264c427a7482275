"""Feature maps of several resolutions, for detection and segmentation."""

import math

import keras

from ..graph import cuts, graph_of, is_model, nodes_in_order
from .image_model import ImageModel

# Layers that change the size by a border.
BORDERS = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
# Layers whose output is no feature of its own.
PASSING = (keras.layers.ZeroPadding2D, keras.layers.Dropout, keras.layers.InputLayer)


def features(model: keras.Model, levels: tuple[int, ...] | None = None) -> keras.Model:
    """A model that returns the last feature map of each resolution.

    Level k has a stride of 2^k pixels: C2 is the output of the residual stage 2, with a
    quarter of the picture's size. A feature map counts if all that follows is computed
    from it, so it is the end of a stage and never the inside of a block; this holds for
    any functional model.

    Args:
        model: any functional or Sequential model with one image input, with a classifier or
            without.
        levels: which levels to return. None: all there are.

    Returns:
        A functional model with the same layers and weights, whose output is a dict
        {"C1": (b, h/2, w/2, c), "C2": ..., ...}. An `ImageModel` gives an `ImageModel`.

    Raises:
        ValueError: for a model that is not functional, or a level that it does not have.

    >>> from keras_se.applications import SEResNet18
    >>> maps = features(SEResNet18(weights=None, input_shape=(64, 64, 3)), levels=(2, 5))
    >>> {name: map.shape for name, map in maps.output.items()}
    {'C2': (None, 16, 16, 64), 'C5': (None, 2, 2, 512)}
    """
    maps = _maps_by_level(model)
    chosen = sorted(maps) if levels is None else levels
    if not isinstance(chosen, tuple | list) or not chosen or not set(chosen) <= set(maps):
        raise ValueError(
            f"`levels` must be among {sorted(maps)}, the strides 2^k of '{model.name}'. "
            f"Received: levels={levels}"
        )
    outputs = {f"C{level}": maps[level] for level in chosen}
    name = f"{model.name}_features"
    if isinstance(model, ImageModel):
        known = getattr(model, "preprocess", None)  # a clone has none
        return ImageModel(model.input, outputs, name, preprocess=known)
    return keras.Model(graph_of(model).input, outputs, name=name)


def _maps_by_level(model) -> dict[int, keras.KerasTensor]:
    """The last feature map of each stride 2^level that the rest is computed from."""
    if len(graph_of(model).inputs) != 1:
        raise ValueError(
            "`features` needs a functional model with one image input. "
            f"Received: model={model.name!r} with {len(model.inputs)} inputs"
        )
    return {level: node.output_tensors[0] for level, node in ends_by_level(model).items()}


def ends_by_level(model: keras.Model) -> dict:
    """The call that makes the last feature map of each stride 2^level.

    Args:
        model: any functional or Sequential model.
    """
    ends = {}
    strides = _strides(model)
    narrow = {id(node) for node in cuts(model)}
    for node in nodes_in_order(model):
        is_map = len(node.output_tensors[0].shape) == 4
        if id(node) in narrow and is_map and not isinstance(node.operation, PASSING):
            level = math.log2(strides[id(node.output_tensors[0])])
            if level == int(level):
                ends[int(level)] = node
    return ends


def _strides(model) -> dict[int, float]:
    """{id of a tensor: by how much it is smaller than the input}."""
    strides: dict[int, float] = {}
    for node in nodes_in_order(model):
        before = max((strides[id(t)] for t in node.input_tensors), default=1)
        stride = before * _stride(node)
        strides |= {id(t): stride for t in node.output_tensors}
    return strides


def _stride(node) -> float:
    """By how much a call shrinks a feature map; below 1 where it enlarges it.

    By its strides, which "valid" padding does not blur, else by its sizes.
    """
    operation = node.operation
    if is_model(operation):
        return _strides(operation)[id(graph_of(operation).outputs[0])]
    if isinstance(operation, keras.layers.UpSampling2D):
        return 1 / operation.size[0]
    strides = getattr(operation, "strides", None) or getattr(operation, "pool_size", None)
    if strides is None:
        return 1.0 if isinstance(operation, BORDERS) else _ratio_of_sizes(node)
    stride = strides[0] if isinstance(strides, tuple | list) else strides
    return 1 / stride if "Transpose" in type(operation).__name__ else stride


def _ratio_of_sizes(node) -> float:
    """Input size by output size, if one is a multiple of the other in both directions; else 1."""
    shapes = [tensor.shape for tensor in (*node.input_tensors, *node.output_tensors)]
    if len(shapes) != 2 or {len(shape) for shape in shapes} != {4}:
        return 1.0
    before, after = (shape[1:3] for shape in shapes)
    if None in (*before, *after) or 1 in after:  # 1: pooled over the whole map
        return 1.0
    ratios = {b / a for b, a in zip(before, after, strict=True)}
    [ratio, *others] = ratios
    exact = ratio == int(ratio) or 1 / ratio == int(1 / ratio)
    return ratio if exact and not others else 1.0
