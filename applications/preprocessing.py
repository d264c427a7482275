"""From raw pixels to what a network expects."""

from dataclasses import asdict, dataclass

import keras
import numpy as np


@keras.saving.register_keras_serializable("keras_se")
@dataclass(frozen=True)
class Preprocessing:
    """Subtract a mean and divide by a deviation, channel by channel.

    Args:
        mean: per channel, in pixel units [0, 255], in the order of `channel_order`.
        std: per channel, in pixel units.
        channel_order: "rgb" or "bgr", the order that the network expects; raw
            pictures are RGB.

    >>> IMAGENET(np.full((1, 2, 2, 3), 255, "uint8")).max().round(2)
    np.float32(2.64)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str = "rgb"

    def __post_init__(self):
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(
                f'`channel_order` must be "rgb" or "bgr". '
                f"Received: channel_order={self.channel_order!r}"
            )
        if len(self.mean) != len(self.std) or not all(s > 0 for s in self.std):
            raise ValueError(
                f"`mean` and `std` need one number per channel, deviations above zero. "
                f"Received: mean={self.mean}, std={self.std}"
            )
        for field in ("mean", "std"):  # JSON turns tuples into lists
            object.__setattr__(self, field, tuple(float(v) for v in getattr(self, field)))

    def __call__(self, pixels):
        """Preprocess pixels in [0, 255], (..., height, width, channels); a new tensor.

        NumPy arrays and lists give float32 NumPy arrays, tensors give tensors.
        """
        if not hasattr(pixels, "shape"):  # lists, and pictures of Pillow's
            pixels = np.asarray(pixels)
        if tuple(pixels.shape[-1:]) != (len(self.mean),):
            raise ValueError(
                f"Expected pixels with {len(self.mean)} channels. Received: shape={pixels.shape}"
            )
        if isinstance(pixels, np.ndarray):
            pixels, ops, to_array = np.asarray(pixels, "float32"), np, np.asarray
        else:
            pixels, ops = keras.ops.cast(pixels, "float32"), keras.ops
            to_array = keras.ops.convert_to_tensor  # PyTorch takes no NumPy array beside a tensor
        if self.channel_order == "bgr":
            pixels = ops.flip(pixels, axis=-1)
        return (pixels - to_array(self.mean, "float32")) / to_array(self.std, "float32")

    def for_channels(self, channels: int) -> "Preprocessing":
        """The same preprocessing for another number of input channels.

        One channel takes the average of the colours; further channels repeat them, in the
        order of the pixels: that of the network is known for three channels only.
        """
        if channels == len(self.mean):
            return self
        if channels == 1:
            return Preprocessing((float(np.mean(self.mean)),), (float(np.mean(self.std)),))
        repeats, step = -(-channels // len(self.mean)), 1 if self.channel_order == "rgb" else -1
        mean, std = (values[::step] * repeats for values in (self.mean, self.std))
        return Preprocessing(mean[:channels], std[:channels])

    def get_config(self):
        return asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


IMAGENET = Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
INCEPTION = Preprocessing((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))  # to [-1, 1]
CAFFE = Preprocessing((103.939, 116.779, 123.68), (1, 1, 1), "bgr")
CIFAR10 = Preprocessing((125.307, 122.950, 113.865), (62.993, 62.089, 66.705))
RAW = Preprocessing((0, 0, 0), (1, 1, 1))  # pixels as they are

# As keras.applications.imagenet_utils.preprocess_input calls them.
MODES = {"tf": INCEPTION, "caffe": CAFFE, "torch": IMAGENET}
