"""The mean over channels as a constant 1x1 convolution."""

import keras
import numpy as np

from ...lowering import add_layer


def channel_mean(operation, graph, lowering, recipe):
    """Write the mean over the channels of a feature map as a 1x1 convolution by 1/c.

    For NPUs that leave MEAN over channels to the CPU: a round trip for each spatial gate of
    CBAM. Vela 5.2 compiles it in the form that our layers have, and gains little by the
    convolution: CBAM-ResNet-18 at 224 takes 60.9 ms instead of 62.3 on an
    Ethos-U55-128, by its estimate (benchmarks/npu.py). On a CPU both take the same time.
    """
    if lowering.channel_mean != "conv" or not _pools_channels(operation):
        return None
    pixels = graph.producer(operation)
    if not isinstance(pixels, keras.layers.Reshape) or len(pixels.input.shape) != 4:
        return None
    channels = pixels.input.shape[-1]
    if pixels.output.shape[-1] != channels:
        return None

    def build(new):
        name = operation.name
        conv = keras.layers.Conv2D(1, 1, use_bias=False, name=f"{name}_constant", dtype="float32")
        kernel = np.full((1, 1, channels, 1), 1 / channels, "float32")
        mean = add_layer(conv, new(pixels.input), [kernel])
        shape = operation.output.shape[1:]
        return keras.layers.Reshape(shape, name=name, dtype="float32")(mean)

    return build


def _pools_channels(operation) -> bool:
    """Whether it is the mean over the last axis of (b, pixels, c)."""
    kind = keras.layers.GlobalAveragePooling1D
    return isinstance(operation, kind) and operation.data_format == "channels_first"
