"""How a row of a table becomes a public constructor; the shared signature stands here."""

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, Protocol

from .builder import build_model
from .image_model import ImageModel
from .imagenet_trunk import IMAGENET_TRUNK, check_trunk, load_imagenet_trunk, trunk_variants
from .spec import NetworkSpec
from .weights.sources import Graph
from .weights.table import published_weights

ARGUMENTS = """
    Args:
        include_top: bool, whether to end in a classifier.
        weights: None for random weights; {weights}the path of a file of the same
            network: .weights.h5 or .keras of Keras, .safetensors or .pth of PyTorch.
        input_tensor: symbolic tensor to use as the images.
        input_shape: (height, width, channels); sizes of at least {min_size}, or None for any
            size. Default: {size} x {size} x 3 with a classifier, any size without.
        pooling: without a classifier: None for the last feature map, "avg" or "max"
            for a vector.
        classes: int, number of classes. Default: {classes}.
        classifier_activation: activation of the classifier; None returns logits.
        name: name of the model. Default: "{name}".
        variant: one of {variants}; None means the first.
        ratio: reduction ratio r of the attention. None: as published.
        gate: gate function of the attention, such as "sigmoid", "hard_sigmoid" or
            "sigmoid2", with which SE starts as the identity. None: as published.
        attention: name in `keras_se.layers.GATES`, a callable that takes `name` and
            makes a layer, None for no gate, or "default" for the network's own.
        conv: name in `keras_se.layers.CONVS`, which replaces a block's first 3x3
            convolution, None for a plain one, or "default" for the network's own.
        placement: where the gate sits (table 14 of Hu et al.): "standard" before the
            addition, "pre" before the residual branch, "post" after the addition,
            "identity" on the shortcut, "inner" after the 3x3 convolution.
        stages: stages that get attention where the network has a choice, numbered as
            in the papers (ResNets: from 2). None: all of them.
        output_stride: size of the picture over that of the last feature map, where the
            network offers it (8, 16, 32): later stages dilate instead of striding, with
            the same weights. None: as published.

    Returns:
        An `ImageModel`: a functional `keras.Model` with `preprocess`. Its input is
        (batch, height, width, channels), float32, `model.preprocess` of pixels in
        [0, 255].

    Raises:
        ValueError: for an argument that is not one of the above.
        DownloadError: if published weights are not in the cache and cannot be fetched.
"""


class Constructor(Protocol):
    """A public function that builds a network, with what it builds."""

    __name__: str
    spec: NetworkSpec

    def __call__(self, *args, **kwargs) -> ImageModel: ...


def constructor(spec: NetworkSpec, summary: str):
    """Make the public function that builds `spec`, with its real signature and help."""
    default_weights = "imagenet" if published_weights(spec.name) else None

    def construct(
        include_top: bool = True,
        weights: str | os.PathLike | None = default_weights,
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
        gate: str | None = None,
    ) -> ImageModel:
        choices: dict[str, Any] = {
            "ratio": ratio,
            "gate": gate,
            "attention": attention,
            "conv": conv,
            "placement": placement,
            "stages": stages,
        }
        chosen = spec.customise(variant, output_stride=output_stride, **choices)
        from_trunk = isinstance(weights, str) and weights == IMAGENET_TRUNK
        if from_trunk:
            check_trunk(chosen)
        model = build_model(
            chosen.trunk,
            chosen.head,
            include_top=include_top,
            weights=None if from_trunk else weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            name=spec.name.lower() if name is None else name,
            graph=_graph(spec, variant, chosen, choices),
            preprocess=chosen.preprocess,
            default_classes=spec.classes,
            default_size=chosen.size,
            min_size=chosen.min_size,
        )
        if from_trunk and chosen.imagenet_trunk is not None:
            load_imagenet_trunk(model, chosen.imagenet_trunk, input_tensor)
        return model

    return _published(construct, spec, summary, ARGUMENTS)


def _graph(spec, variant, chosen, choices) -> Graph:
    """What decides which weights fit: the network, its variant, and what was changed."""
    variant = next(iter(spec.variants)) if variant is None else variant
    published = spec.customise(variant, output_stride=chosen.output_stride)
    if chosen.computes_as(published):
        return Graph(spec.name, variant)
    default = {"attention": "default", "conv": "default", "placement": "standard"}
    changed = ((name, v) for name, v in choices.items() if v != default.get(name))
    return Graph(spec.name, variant, tuple(changed))


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
    parameters = [first, *shared.parameters.values()]
    described = ARGUMENTS.replace("    Args:\n", "    Args:\n" + DEPTH_ARGUMENT)
    return _published(construct, make_spec(depth), summary, described, name, parameters)


DEPTH_ARGUMENT = """\
        depth: int, number of weighted layers, shortcuts not counted.
"""


def constructor_by_width(make_spec: Callable[[float], NetworkSpec], summary: str):
    """Make a public function with a width multiplier `alpha` besides the shared arguments."""

    def construct(*args, alpha: float = 1.0, **kwargs) -> ImageModel:
        return constructor(make_spec(alpha), summary)(*args, **kwargs)

    spec = make_spec(1.0)
    shared = inspect.signature(constructor(spec, summary))
    last = inspect.signature(construct).parameters["alpha"]
    parameters = [*shared.parameters.values(), last]
    described = ARGUMENTS.replace("\n\n    Returns:", "\n" + WIDTH_ARGUMENT + "\n    Returns:")
    return _published(construct, spec, summary, described, None, parameters)


WIDTH_ARGUMENT = """\
        alpha: float, width multiplier: every layer has alpha times the filters.
"""


def _published(construct, spec, summary, arguments, name=None, parameters=None):
    """Name and document a constructor as the module that publishes it would."""
    construct.__name__ = construct.__qualname__ = name or spec.name
    construct.__module__ = sys._getframe(2).f_globals["__name__"]  # for pickle
    construct.__doc__ = f"{summary}\n" + arguments.format(
        name=spec.name.lower(),
        size=spec.size,
        min_size=spec.min_size,
        classes=spec.classes,
        variants=list(spec.variants),
        weights=_weights_argument(spec),
    )
    signature = inspect.signature(construct)
    construct.__signature__ = signature.replace(
        parameters=[
            p.replace(default=spec.classes, annotation=int) if p.name == "classes" else p
            for p in parameters or signature.parameters.values()
        ]
    )
    construct.spec = spec
    return construct


def _weights_argument(spec) -> str:
    """What `weights` offers besides None and files."""
    tags: dict[str, list[str]] = {}
    for row in published_weights(spec.name):
        tags.setdefault(row.variant, []).append(row.tag)
    trunk = TRUNK_WEIGHTS if trunk_variants(spec) else ""
    if not tags:
        return trunk
    names = "; ".join(f"{variant}: {', '.join(names)}" for variant, names in tags.items())
    return (
        '"imagenet" for the best\n'
        "            published ones of the variant, or one of these by name\n"
        f"            ({names});\n"
        f"            {trunk}"
    )


TRUNK_WEIGHTS = """\
"imagenet-trunk" for those of
            keras.applications, around gates that start as the identity;
            """
