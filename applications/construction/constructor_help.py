"""What `help` shows of a network: the arguments that all share, and the weights it has."""

import inspect
import sys

from ..weights.table import published_weights
from .imagenet_trunk import trunk_variants
from .spec import NetworkSpec

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
        classes: int, number of classes. Default: {classes}. Where it is given and is not
            that of the weights, the classifier starts anew, with a warning.
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

ARGUMENTS_WITH_DEPTH = ARGUMENTS.replace(
    "    Args:\n",
    "    Args:\n        depth: int, number of weighted layers, shortcuts not counted.\n",
)

ARGUMENTS_WITH_WIDTH = ARGUMENTS.replace(
    "\n\n    Returns:",
    "\n        alpha: float, width multiplier: every layer has alpha times the filters.\n"
    "\n    Returns:",
)

TRUNK_WEIGHTS = """\
"imagenet-trunk" for those of
            keras.applications, around gates that start as the identity;
            """


def publish(construct, spec: NetworkSpec, summary: str, arguments: str, name=None, parameters=None):
    """Name and document a constructor as the module that publishes it would.

    To be called by the function that a family's module calls: that module is two frames up.

    Args:
        construct: the function, which is changed and returned.
        spec: what it builds.
        summary: first line of its documentation.
        arguments: the rest, one of the texts above.
        name: of the function; None takes the network's.
        parameters: of its signature; None takes its own.
    """
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
