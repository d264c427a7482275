"""The published checkpoints, described: one line each.

timm: https://github.com/huggingface/pytorch-image-models, `results/results-imagenet.csv`;
Cadene: https://github.com/Cadene/pretrained-models.pytorch, hosted by timm. Top-1 is in
percent of ImageNet's 50,000 validation pictures, at `size` and `crop`.
"""

import re
from dataclasses import dataclass

from ..preprocessing import Preprocessing
from .architectures import ARCHITECTURES

HUGGING_FACE = "https://huggingface.co"
GITHUB = "https://github.com"
RELEASES = f"{GITHUB}/rwightman/pytorch-image-models/releases/download"


@dataclass(frozen=True)
class Weights:
    """One published checkpoint.

    Attributes:
        name: architecture, a dot, and the tag of the training run.
        top1: percent of ImageNet's validation pictures whose class comes first.
        size: side of the picture that the network sees, in pixels, where `top1` was
            measured. The network takes any other size too.
        crop: part of the picture's short side that this is.
        interpolation: filter of the resize, Pillow's name.
        recipe: how it was trained, in timm's or the converter's words.
        release: tag and file of a GitHub release; "" for Hugging Face.
        top5: percent, or None where it was not published with the rest.
        licence: SPDX identifier.
    """

    name: str
    top1: float
    size: int
    crop: float
    interpolation: str
    recipe: str
    release: str = ""
    top5: float | None = None
    licence: str = "Apache-2.0"

    @property
    def architecture(self) -> str:
        """Key of `ARCHITECTURES`."""
        return self.name.partition(".")[0]

    @property
    def preprocess(self) -> Preprocessing:
        """From pixels in [0, 255] to the network's input: mean and deviation per channel."""
        return ARCHITECTURES[self.architecture].preprocess

    @property
    def variant(self) -> str:
        """The variant of the network that it is for."""
        return ARCHITECTURES[self.architecture].variant

    @property
    def tag(self) -> str:
        """What tells it from other checkpoints of the same architecture."""
        return self.name.partition(".")[2]

    @property
    def url(self) -> str:
        if self.release:
            return f"{RELEASES}/{self.release}"
        return f"{HUGGING_FACE}/timm/{self.name}/resolve/main/model.safetensors"

    @property
    def sha256(self) -> str:
        """The first digits of the file's SHA-256 as published, in its name; "" if unknown."""
        return match[1] if (match := re.search(r"-([0-9a-f]{8,})\.pth$", self.release)) else ""

    @property
    def filename(self) -> str:
        """Its name in the cache."""
        return f"{self.name}{'.pth' if self.release else '.safetensors'}"


BICUBIC, BILINEAR = "bicubic", "bilinear"
CADENE = "converted from the authors' Caffe weights (Cadene)"
GLUON = "Gluon CV, converted"
A1, A2, A3 = (f"ResNet strikes back, {recipe}" for recipe in ("A1", "A2", "A3"))
A1H = "ResNet strikes back, A1 with stronger regularisation (AH)"
TIMM = "timm"
RA, RA2, RACM = (f"timm, {recipe} (RandAugment)" for recipe in ("RA", "RA2", "RACM"))
BT = "timm, BT (bag of tricks)"

# fmt: off
_ROWS = (
    # name, top-1, size, crop, interpolation, recipe, file of a GitHub release
    Weights("seresnet50.ra2_in1k", 80.260, 224, 0.875, BICUBIC, RA2),
    Weights("seresnet50.a2_in1k", 80.102, 224, 0.95, BICUBIC, A2),
    Weights("seresnet50.a1_in1k", 80.012, 224, 0.95, BICUBIC, A1),
    Weights("seresnet50.a3_in1k", 75.104, 160, 0.95, BICUBIC, A3),
    Weights("seresnet152d.ra2_in1k", 83.702, 256, 0.95, BICUBIC, RA2),
    Weights("seresnext26d_32x4d.bt_in1k", 77.592, 224, 0.875, BICUBIC, BT),
    Weights("seresnext26t_32x4d.bt_in1k", 77.980, 224, 0.875, BICUBIC, BT),
    Weights("seresnext50_32x4d.racm_in1k", 81.268, 224, 0.875, BICUBIC, RACM),
    Weights("seresnext50_32x4d.gluon_in1k", 79.916, 224, 0.875, BICUBIC, GLUON),
    Weights("seresnext101_32x4d.gluon_in1k", 80.886, 224, 0.875, BICUBIC, GLUON),
    Weights("seresnext101_64x4d.gluon_in1k", 80.884, 224, 0.875, BICUBIC, GLUON),
    Weights("seresnext101_32x8d.ah_in1k", 83.618, 224, 0.95, BICUBIC, A1H),
    Weights("seresnext101d_32x8d.ah_in1k", 83.702, 224, 0.95, BICUBIC, A1H),
    Weights("senet154.gluon_in1k", 81.258, 224, 0.875, BICUBIC, GLUON),
    Weights("skresnet18.ra_in1k", 73.020, 224, 0.875, BICUBIC, RA),
    Weights("skresnet34.ra_in1k", 76.956, 224, 0.875, BICUBIC, RA),
    Weights("skresnext50_32x4d.ra_in1k", 80.168, 224, 0.875, BICUBIC, RA),
    Weights("legacy_seresnet18.in1k", 71.742, 224, 0.875, BICUBIC, TIMM,
            "v0.1-weights/seresnet18-4bb0ce65.pth"),
    Weights("legacy_seresnet34.in1k", 74.788, 224, 0.875, BILINEAR, TIMM,
            "v0.1-weights/seresnet34-a4004e63.pth"),
    Weights("legacy_seresnet50.in1k", 77.650, 224, 0.875, BILINEAR, CADENE,
            "v0.1-cadene/se_resnet50-ce0d4300.pth"),
    Weights("legacy_seresnet101.in1k", 78.370, 224, 0.875, BILINEAR, CADENE,
            "v0.1-cadene/se_resnet101-7e38fcc6.pth"),
    Weights("legacy_seresnet152.in1k", 78.662, 224, 0.875, BILINEAR, CADENE,
            "v0.1-cadene/se_resnet152-d17c99b7.pth"),
    Weights("legacy_seresnext26_32x4d.in1k", 77.100, 224, 0.875, BICUBIC, TIMM,
            "v0.1-weights/seresnext26_32x4d-65ebdb501.pth"),
    Weights("legacy_seresnext50_32x4d.in1k", 79.080, 224, 0.875, BILINEAR, CADENE,
            "v0.1-weights/legacy_se_resnext50_32x4d-f3651bad.pth"),
    Weights("legacy_seresnext101_32x4d.in1k", 80.274, 224, 0.875, BILINEAR, CADENE,
            "v0.1-weights/legacy_se_resnext101_32x4d-37725eac.pth"),
    Weights("legacy_senet154.in1k", 81.320, 224, 0.875, BILINEAR, CADENE,
            "v0.1-weights/legacy_senet154-e9eb9fe6.pth"),
)
# fmt: on
WEIGHTS = {row.name: row for row in _ROWS}


def published_weights(network: str, variant: str | None = None) -> tuple[Weights, ...]:
    """The checkpoints of a network, the most accurate one first.

    Args:
        network: name of the constructor, such as "SEResNet50".
        variant: only those of this variant; None for all.

    >>> [row.tag for row in published_weights("SEResNet50", "v1.5")]
    ['ra2_in1k', 'a2_in1k', 'a1_in1k', 'a3_in1k']
    """
    rows = (
        row
        for row in _ROWS
        if ARCHITECTURES[row.architecture].network == network and variant in (None, row.variant)
    )
    return tuple(sorted(rows, key=lambda row: -row.top1))
