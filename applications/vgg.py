"""VGG-16 with BatchNorm, and SE-VGG-16: a gate after each convolution's ReLU.

References:
    VGG: Simonyan, Zisserman, https://arxiv.org/abs/1409.1556, configuration D
    SE-VGG-16: Hu et al., https://arxiv.org/abs/1709.01507, table 2

Hu et al. add BatchNorm after each convolution and release no definition. Gates sit where
their section 3.3 puts them for VGG, after the non-linearity of each convolution. Top-1 and
top-5 error of the paper: 27.02 and 8.81 % without gates, 25.22 and 7.70 % with them; 15.47
and 15.48 GFLOPs, which is what `profile` gives once the additions of the squeeze (13.5 M)
are counted, too. The convolutions have biases as in PyTorch's vgg16_bn: 138,365,992 parameters.
"""

from dataclasses import dataclass

import keras

from .construction.constructor import constructor
from .construction.spec import NetworkSpec, Variant
from .decoding import decode_predictions
from .preprocessing import IMAGENET


@dataclass(frozen=True)
class VGGSpec(NetworkSpec):
    """A VGG network with BatchNorm: stages of 3x3 convolutions, each ended by a pool."""

    depths: tuple[int, ...] = (2, 2, 3, 3, 3)  # convolutions per stage
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: int = 4096  # units of the two layers before the classifier

    @property
    def every_stage(self):
        return tuple(range(1, 1 + len(self.depths)))

    def trunk(self, images):
        """The last feature map: (b, h/32, w/32, 512)."""
        x = images
        for stage, depth, width in zip(self.every_stage, self.depths, self.widths, strict=True):
            for index in range(1, depth + 1):
                x = self._conv(x, width, stage, index)
            x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        return x

    def _conv(self, x, width, stage, index):
        name = f"stage{stage}_block{index}"
        x = keras.layers.Conv2D(
            width, 3, padding="same", kernel_initializer="he_normal", name=f"{name}_conv"
        )(x)
        x = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_norm")(x)
        x = keras.layers.Activation("relu", name=f"{name}_act")(x)
        attends = self.attention is not None and stage in self.stages
        return self.gated(x, f"{name}_gate") if attends else x

    def head(self, x):
        """Two dense layers on the whole map, so that the picture's size is fixed."""
        if None in x.shape[1:]:
            raise ValueError(
                "A VGG classifier reads the whole feature map: `input_shape` must have known "
                f"sizes, or include_top=False. Received: last feature map of shape {x.shape}"
            )
        x = keras.layers.Flatten(name="flatten")(x)
        for index in (1, 2):
            x = keras.layers.Dense(self.hidden, activation="relu", name=f"dense{index}")(x)
            x = keras.layers.Dropout(self.dropout, name=f"dropout{index}")(x)
        return x


_ROWS = (
    # name; trainable parameters, GMACs
    VGGSpec("VGG16BN", dropout=0.5, variants={"v1": Variant(138_365_992, 15.4703)}),
    VGGSpec(
        "SEVGG16BN", dropout=0.5, attention="se", variants={"v1": Variant(138_596_784, 15.4705)}
    ),
)
SPECS = {row.name: row for row in _ROWS}

VGG16BN = constructor(SPECS["VGG16BN"], "VGG-16 with BatchNorm (Simonyan and Zisserman).")
SEVGG16BN = constructor(SPECS["SEVGG16BN"], "SE-VGG-16 with BatchNorm (Hu et al., table 2).")

preprocess_input = IMAGENET

__all__ = [*SPECS, "SPECS", "decode_predictions", "preprocess_input"]
