"""The contract that all networks share: input, head, weights. It stands here only."""

import numbers
import os
from collections.abc import Callable, Iterable

import keras

from ...layers._common import check_count
from ..image_model import ImageModel
from ..preprocessing import Preprocessing
from ..weights.sources import Graph, find_source


def build_model(
    trunk: Callable,
    head: Callable,
    *,
    include_top: bool,
    weights: str | os.PathLike | None,
    input_tensor,
    input_shape: tuple | None,
    pooling: str | None,
    classes: int | None,
    classifier_activation,
    name: str,
    graph: Graph,
    preprocess: Preprocessing,
    default_classes: int,
    default_size: int,
    min_size: int,
) -> ImageModel:
    """Build a network from its two parts.

    `trunk` maps image tensors to the last feature map, and `head` maps that to the vector
    that is classified. The other arguments are those of the public constructors (see
    `constructor`), and the facts of the network: its name, its preprocessing, its usual
    and its least image size.

    Raises:
        ValueError: for any argument that does not fit, before anything is built.
        DownloadError: if published weights are not in the cache and cannot be fetched.
    """
    source = find_source(weights, graph)
    new_head = classes is not None
    classes = default_classes if classes is None else classes
    if pooling not in (None, "avg", "max"):
        raise ValueError(f'`pooling` must be None, "avg" or "max". Received: pooling={pooling!r}')
    classes = check_count("classes", classes)
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "The networks work on channels-last pictures; call "
            'keras.config.set_image_data_format("channels_last"). '
            f"Received: image_data_format={keras.config.image_data_format()!r}"
        )
    size = default_size if include_top else None
    images = _image_tensor(input_tensor, input_shape, size, min_size)
    if source is not None:
        source = source.fetched()
        preprocess = source.preprocess(preprocess)
    x = trunk(images)
    if include_top:
        x = keras.layers.Dense(
            classes, activation=classifier_activation, dtype=_head_dtype(), name="predictions"
        )(head(x))
    elif pooling == "avg":
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = keras.layers.GlobalMaxPooling2D(name="max_pool")(x)
    inputs = images if input_tensor is None else _source(input_tensor)
    preprocess = preprocess.for_channels(images.shape[-1])
    model = ImageModel(inputs, x, name=name, preprocess=preprocess, architecture=graph.architecture)
    if source is not None:
        # Layers before the caller's tensor are the caller's own.
        network = model if input_tensor is None else keras.Model(images, x)
        source.load(network, new_head)
        names = source.class_names
        if include_top and names and len(names) == classes:  # else the classifier is new
            model.class_names = names
    return model


def _image_tensor(input_tensor, input_shape, default_size, min_size):
    """The symbolic images, from the tensor or the shape that the caller gave."""
    if input_tensor is not None:
        if not keras.backend.is_keras_tensor(input_tensor):
            raise ValueError(
                "`input_tensor` must be a symbolic tensor such as keras.Input(...). "
                f"Received: input_tensor of type {type(input_tensor).__name__}"
            )
        if input_shape is not None and _sizes(input_shape) != input_tensor.shape[1:]:
            raise ValueError(
                f"`input_shape` and `input_tensor` must agree. Received: "
                f"input_shape={input_shape}, input_tensor.shape={input_tensor.shape}"
            )
        _check_image_shape(input_tensor.shape[1:], min_size)
        return input_tensor
    if input_shape is None:
        input_shape = (default_size, default_size, 3)
    return keras.Input(_check_image_shape(input_shape, min_size), name="images")


def _source(input_tensor):
    """What `input_tensor` is computed from: the input or inputs of the model."""
    sources = keras.utils.get_source_inputs(input_tensor)
    return sources[0] if len(sources) == 1 else sources


def _sizes(shape) -> tuple:
    """A shape as a tuple; () for anything but whole numbers and None."""
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    whole = all(size is None or isinstance(size, numbers.Integral) for size in sizes)
    return sizes if whole else ()


def _check_image_shape(shape, min_size: int) -> tuple:
    *sizes, channels = _sizes(shape) or (None,)
    if (
        len(sizes) != 2
        or not channels
        or channels < 1
        or any(s is not None and s < min_size for s in sizes)
    ):
        raise ValueError(
            f"`input_shape` must be (height, width, channels) with sizes of at least {min_size} "
            f"or None, and known channels. Received: input_shape={shape}"
        )
    return (*sizes, channels)


def _head_dtype() -> str | None:
    """Logits and softmax stay in float32 under a mixed-precision policy."""
    policy = keras.config.dtype_policy()
    return "float32" if policy.compute_dtype in ("float16", "bfloat16") else None
