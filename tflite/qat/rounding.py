"""How a kernel is rounded to int8; backwards, rounding is the identity.

Jacob et al., https://arxiv.org/abs/1712.05877, section 3.
"""

import keras
from keras import ops

# A channel this much smaller than the largest one counts as zeros (a padded shortcut has
# some) and gets the largest one's range: its own would overflow the 32 bits of its bias.
SMALLEST_CHANNEL = 1e-5


def fake_quantize_kernel(kernel, per_channel: bool):
    """Round a kernel to 255 values in [-m, m], m = max |kernel|, of each channel or of all.

    Args:
        kernel: (..., channels).
        per_channel: whether every channel of the last axis has its own m.
    """
    bound = kernel_bounds(kernel, per_channel)
    return keras.quantizers.fake_quant_with_min_max_vars(
        kernel, -bound, bound, num_bits=8, narrow_range=True, axis=-1 if per_channel else None
    )


def kernel_bounds(kernel, per_channel: bool):
    """What 127 means in an int8 kernel (..., channels): of each channel, or of all."""
    magnitude = ops.abs(ops.stop_gradient(kernel))
    bound = largest = ops.max(magnitude)
    if per_channel:
        bound = ops.max(magnitude, axis=tuple(range(len(kernel.shape) - 1)))
        bound = ops.where(bound > SMALLEST_CHANNEL * largest, bound, largest)
    return ops.where(bound > 0, bound, 1.0)
