"""How a row of a table becomes a public function; the signature that all share stands here."""

import inspect
import os
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, Protocol

from ..image_model import ImageModel
from ..weights.sources import Graph
from ..weights.table import published_weights
from .builder import build_model
from .choices import customise, same_network
from .constructor_help import ARGUMENTS, ARGUMENTS_WITH_DEPTH, ARGUMENTS_WITH_WIDTH, publish
from .imagenet_trunk import IMAGENET_TRUNK, check_trunk, load_imagenet_trunk
from .spec import NetworkSpec


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
        chosen = customise(spec, variant, output_stride=output_stride, **choices)
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

    return publish(construct, spec, summary, ARGUMENTS)


def _graph(spec, variant, chosen, choices) -> Graph:
    """What decides which weights fit: the network, its variant, and what was changed."""
    variant = spec.default_variant if variant is None else variant
    published = customise(spec, variant, output_stride=chosen.output_stride)
    if same_network(chosen, published):
        return Graph(spec, variant)
    default = {"attention": "default", "conv": "default", "placement": "standard"}
    changed = ((name, v) for name, v in choices.items() if v != default.get(name))
    return Graph(spec, variant, tuple(changed))


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
    spec = make_spec(depth)
    return publish(construct, spec, summary, ARGUMENTS_WITH_DEPTH, name, parameters)


def constructor_by_width(make_spec: Callable[[float], NetworkSpec], summary: str):
    """Make a public function with a width multiplier `alpha` besides the shared arguments."""

    def construct(*args, alpha: float = 1.0, **kwargs) -> ImageModel:
        return constructor(make_spec(alpha), summary)(*args, **kwargs)

    spec = make_spec(1.0)
    shared = inspect.signature(constructor(spec, summary))
    last = inspect.signature(construct).parameters["alpha"]
    parameters = [*shared.parameters.values(), last]
    return publish(construct, spec, summary, ARGUMENTS_WITH_WIDTH, None, parameters)
