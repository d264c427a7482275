"""3x3 convolutions that become selective kernels and start as what they were."""

import keras

from ..graph import walk
from ..layers import CONVS
from ..names import check_name
from .conv_block import ConvBlock, conv_block
from .places import Place, Where, find_places
from .rebuild import Changes, rebuild
from .selective_kernel_start import selective_kernel, start_as

FROM_OLD_LAYERS = frozenset(
    ("filters", "groups", "strides", "dilation", "activation", "epsilon", "momentum", "frozen")
)


def replace(
    model: keras.Model, layers: Where | None = None, conv: str = "sk", **options
) -> keras.Model:
    """Turn 3x3 convolutions into selective kernels that compute the same at first.

    A convolution, the BatchNorm and the ReLU that follow it become one
    `SelectiveKernelConv2D`. Its branches are relu(BN(conv)) and its softmax weights sum to 1:

        select: A = 0, so that each of M branches has the weight 1/M
        branch 1: the old kernel and BatchNorm, gamma and beta times M: M relu(v) = relu(M v)
        branches 2..M: gamma = 0, beta = 1e-7: nothing, but on ReLU's side that trains

    so y = relu(v) + 1e-7 (M - 1) / M, in training mode too. Select and the new branches'
    BatchNorm have gradients from the first step, what lies before them from the second. A
    convolution or BatchNorm that does not train stays frozen as part of the first branch.

    Args:
        model: functional or Sequential Keras model; models inside it are searched, too.
        layers: which convolutions, as `after` of `insert`. None: all that can start as the
            old layer.
        conv: name of a convolution in `keras_se.layers.CONVS`.
        **options: its arguments except filters, groups, strides, dilation, activation,
            epsilon, momentum and frozen, which are the old layers'.

    Returns:
        A new model of the same kind, not compiled, with copies of the weights. The new
        layers have the convolutions' names.

    Raises:
        ValueError: if a named layer cannot start as it was, with the reason: it is no 3x3
            convolution; it is called several times, or its inner results are read
            elsewhere; BatchNorm or a ReLU (or no activation) does not follow; stride 2 with
            Keras' "same" padding of an even size, which pads on one side only.
        TypeError: for options that are taken from the old layers, or unknown.

    >>> images = keras.Input((32, 32, 3))
    >>> maps = keras.layers.Conv2D(16, 3, padding="same", name="conv")(images)
    >>> maps = keras.layers.ReLU()(keras.layers.BatchNormalization()(maps))
    >>> [layer.name for layer in replace(keras.Model(images, maps)).layers][1:]
    ['conv']
    """
    check_name("conv", conv, CONVS)
    if given := FROM_OLD_LAYERS & set(options):
        raise TypeError(
            f"These come from the old layers: {sorted(FROM_OLD_LAYERS)}. Received: {sorted(given)}"
        )
    if options.get("split_input"):
        raise ValueError(
            "The first branch holds the old kernel: it needs all input channels, split_input=False"
        )
    blocks = _conv_blocks(model, layers)
    new_layers = {id(block.conv.operation): selective_kernel(block, options) for block in blocks}
    skipped = frozenset(id(node) for block in blocks for node in block.around)
    result = rebuild(model, Changes(layers=new_layers, skipped=skipped))
    for block in blocks:
        start_as(block, new_layers[id(block.conv.operation)])
    return result


def _conv_blocks(model, layers) -> list[ConvBlock]:
    """The named convolutions with what surrounds them; without names all that fit."""
    if layers is not None:
        return [conv_block(place) for place in find_places(model, layers, "layers")]
    found, reason = [], "it has no convolution"
    for place in (Place(*call) for call in walk(model)):
        if isinstance(place.operation, keras.layers.Conv2D):
            try:
                found.append(conv_block(place))
            except ValueError as error:
                reason = str(error)
    if not found:
        raise ValueError(
            f"No convolution of '{model.name}' can become a selective kernel that starts as "
            f"the old layer. The last one: {reason}"
        )
    return found
