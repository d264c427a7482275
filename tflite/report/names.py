"""Names of tensors and ratios as a reader wants them."""

import math
import re


def layer_name(tensor: str) -> str:
    """The Keras layer that a tensor of a converted file comes from.

    The converter names a tensor by everything that was fused into its operator.

    >>> layer_name("net_1/stem_act_1/Relu;net_1/stem_norm_1/batchnorm/add_1")
    'stem_act'
    >>> layer_name("Identity")
    'Identity'
    """
    model, *inner = tensor.split(";")[0].split("/")
    if not inner:
        return model
    suffix = re.search(r"_\d+$", model)
    return inner[0].removesuffix(suffix[0]) if suffix else inner[0]


def decibels(value: float) -> str:
    """A signal-to-noise ratio.

    >>> decibels(31.27), decibels(math.inf), decibels(-math.inf)
    ('31.3 dB', 'exact', 'no signal')
    """
    if math.isfinite(value):
        return f"{value:.1f} dB"
    return "exact" if value == math.inf else "no signal"
