"""How a row of a table becomes a public constructor; the shared signature stands here."""

import inspect
import os
import sys
from collections.abc import Callable
from typing import Concatenate, Literal, ParamSpec

from .builder import build_model
from .image_model import ImageModel
from .spec import NetworkSpec

ARGUMENTS = """
    Args:
        include_top: bool, whether to end in a classifier.
        weights: None for random weights, or the path of a .weights.h5 or .keras file
            of the same network.
        input_tensor: symbolic tensor to use as the images.
        input_shape: (height, width, channels); sizes of at least 32, or None for any
            size. Default: {size} x {size} x 3 with a classifier, any size without.
        pooling: without a classifier: None for the last feature map, "avg" or "max"
            for a vector.
        classes: int, number of classes. Default: {classes}.
        classifier_activation: activation of the classifier; None returns logits.
        name: name of the model. Default: "{name}".
        variant: one of {variants}; None means the first.
        ratio: reduction ratio r of the attention. None: as published.
        attention: name in `keras_se.layers.GATES`, a callable that takes `name` and
            makes a layer, None for no gate, or "default" for the network's own.
        conv: name in `keras_se.layers.CONVS`, which replaces a block's first 3x3
            convolution, None for a plain one, or "default" for the network's own.
        placement: where the gate sits (table 14 of Hu et al.): "standard" before the
            addition, "pre" before the residual branch, "post" after the addition,
            "identity" on the shortcut, "inner" after the 3x3 convolution.
        stages: stages that get attention, numbered as in the papers from 2.
            None: all of them.
        output_stride: size of the picture over that of the last feature map, where the
            network offers it (8, 16, 32): later stages dilate instead of striding, with
            the same weights. None: as published.

    Returns:
        An `ImageModel`: a functional `keras.Model` with `preprocess`. Its input is
        (batch, height, width, channels), float32, `model.preprocess` of pixels in
        [0, 255].

    Raises:
        ValueError: for an argument that is not one of the above.
"""


def constructor(spec: NetworkSpec, summary: str):
    """Make the public function that builds `spec`, with its real signature and help."""

    def construct(
        include_top: bool = True,
        weights: str | os.PathLike | None = None,
        input_tensor=None,
        input_shape: tuple[int | None, int | None, int] | None = None,
        pooling: Literal["avg", "max"] | None = None,
        classes: int | None = None,
        classifier_activation: str | Callable | None = "softmax",
        name: str | None = None,
        *,
        variant: str | None = None,
        ratio: int | None = None,
        attention: str | Callable | None = "default",
        conv: str | None = "default",
        placement: str = "standard",
        stages: tuple[int, ...] | None = None,
        output_stride: int | None = None,
    ) -> ImageModel:
        chosen = spec.customise(variant, ratio, attention, conv, placement, stages, output_stride)
        return build_model(
            chosen.trunk,
            include_top=include_top,
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=spec.classes if classes is None else classes,
            classifier_activation=classifier_activation,
            name=spec.name.lower() if name is None else name,
            preprocess=chosen.preprocess,
            default_size=chosen.size,
            dropout=chosen.dropout,
        )

    return _published(construct, spec, summary, ARGUMENTS)


Arguments = ParamSpec("Arguments")


def constructor_by_depth(
    construct_like: Callable[Arguments, ImageModel],
    make_spec: Callable[[int], NetworkSpec],
    depth: int,
    name: str,
    summary: str,
) -> Callable[Concatenate[int, Arguments], ImageModel]:
    """Make a public function like `construct_like`, with the depth as its first argument."""

    def construct(depth: int = depth, *args, **kwargs) -> ImageModel:
        return constructor(make_spec(depth), summary)(*args, **kwargs)

    shared = inspect.signature(construct_like)
    first = inspect.signature(construct).parameters["depth"]
    construct.__signature__ = shared.replace(parameters=[first, *shared.parameters.values()])
    described = ARGUMENTS.replace("    Args:\n", "    Args:\n" + DEPTH_ARGUMENT)
    return _published(construct, make_spec(depth), summary, described, name)


DEPTH_ARGUMENT = """\
        depth: int, number of weighted layers, shortcuts not counted.
"""


def _published(construct, spec, summary, arguments, name=None):
    """Name and document a constructor as the module that publishes it would."""
    construct.__name__ = construct.__qualname__ = name or spec.name
    construct.__module__ = sys._getframe(2).f_globals["__name__"]  # for pickle
    construct.__doc__ = f"{summary}\n" + arguments.format(
        name=spec.name.lower(),
        size=spec.size,
        classes=spec.classes,
        variants=list(spec.variants),
    )
    signature = inspect.signature(construct)
    classes = signature.parameters["classes"].replace(default=spec.classes, annotation=int)
    construct.__signature__ = signature.replace(
        parameters=[classes if p.name == "classes" else p for p in signature.parameters.values()]
    )
    construct.spec = spec
    return construct
