"""The networks by name."""

from collections.abc import Iterable

from ..names import aligned
from . import (
    bn_inception,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    resnet,
    resnet_cifar,
    resnext,
    senet,
    vgg,
)
from .construction.constructor import Constructor
from .weights.table import published_weights

FAMILIES = (
    resnet,
    resnext,
    senet,
    bn_inception,
    inception_v3,
    inception_resnet_v2,
    mobilenet,
    vgg,
    resnet_cifar,
)

MODELS: dict[str, Constructor] = {
    name: constructor
    for family in FAMILIES
    for name, constructor in vars(family).items()
    if hasattr(constructor, "spec") and constructor.__name__ == name  # no second names
}

LISTED_BY = "`keras-se models`"  # where a message sends for all names


def list_models() -> dict[str, tuple[str, ...]]:
    """The networks and the variants that each accepts, the default one first.

    >>> list_models()["SEResNet50"]
    ('v1.5', 'original', 'keras')
    """
    return {name: tuple(constructor.spec.variants) for name, constructor in MODELS.items()}


def summary_table(names: Iterable[str] = tuple(MODELS)) -> str:
    """A table: variant, trainable parameters, GMACs of one picture, names of weights."""
    rows = [("model", "variant", "picture", "parameters", "GMACs", "published weights")]
    for name in names:
        spec = MODELS[name].spec
        for variant, figures in spec.variants.items():
            size = f"{spec.size} x {spec.size}"
            tags = " ".join(weights.tag for weights in published_weights(name, variant))
            costs = f"{figures.parameters:,}", f"{figures.gmacs:.4f}"
            rows.append((name, variant, size, *costs, tags))
    return aligned(rows, left=(True, True, False, False, False, True))
