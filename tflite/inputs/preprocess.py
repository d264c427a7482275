"""Put a model's input normalisation into its graph, so that a file takes raw pixels."""

from typing import Protocol, runtime_checkable

import keras
import numpy as np

from ...lowering import add_layer


@runtime_checkable
class Preprocess(Protocol):
    """What turns raw pixels into what a model expects, per channel and affine.

    Attributes:
        mean: one number per channel, in pixel units and in the model's channel order.
        std: likewise; the model expects `(pixel - mean) / std`.
        channel_order: "rgb" or "bgr", the order that the model wants. Raw pictures are RGB.
    """

    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...
    @property
    def channel_order(self) -> str: ...

    def __call__(self, images):
        """Map raw pixels, (..., c) in [0, 255], to what the model expects, as a new array."""
        ...


def check_preprocess(preprocess, channels: int) -> None:
    """Raise unless `preprocess` describes images of this many channels.

    Raises:
        TypeError: when an attribute of `Preprocess` is missing.
        ValueError: for a wrong length, a std of zero, or an unknown channel order.
    """
    if not isinstance(preprocess, Preprocess):
        raise TypeError(
            "preprocess must be callable and have mean, std and channel_order, as the one that "
            f"a keras_se.applications model carries. Received: preprocess={preprocess!r}"
        )
    mean, std, order = preprocess.mean, preprocess.std, preprocess.channel_order
    if np.shape(mean) != (channels,) or np.shape(std) != (channels,):
        raise ValueError(
            f"preprocess needs one mean and one std for each of the model's {channels} channels. "
            f"Received: mean={mean}, std={std}"
        )
    if not np.all(np.isfinite(mean)) or not np.all(np.asarray(std) > 0):
        raise ValueError(
            f"preprocess needs finite means and positive stds. Received: mean={mean}, std={std}"
        )
    if order not in ("rgb", "bgr") or (order == "bgr" and channels != 3):
        raise ValueError(
            'preprocess needs channel_order "rgb", or "bgr" with 3 channels. '
            f"Received: channel_order={order!r}, channels={channels}"
        )


def add_preprocess(inputs, preprocess: Preprocess):
    """Normalise raw pixels with one 1x1 convolution.

    It must stand before the first padding, because the padding's zeros are zeros of
    the normalised image. Its kernel is a diagonal, or a reversed one for "bgr".

    Args:
        inputs: symbolic tensor (b, h, w, c), raw pixels in [0, 255], RGB.
        preprocess: mean, std and channel order.

    Returns:
        Symbolic tensor (b, h, w, c): `preprocess(inputs)`.
    """
    channels = inputs.shape[-1]
    std = np.asarray(preprocess.std, "float32")
    kernel = np.diag(1 / std)  # rows: channels of the picture, columns: of the model
    if preprocess.channel_order == "bgr":
        kernel = kernel[::-1]
    convolution = keras.layers.Conv2D(
        channels, 1, trainable=False, dtype="float32", name="preprocess"
    )
    return add_layer(
        convolution, inputs, [kernel[None, None], -np.asarray(preprocess.mean, "float32") / std]
    )
