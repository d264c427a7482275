"""RandAugment of one picture, as in the papers' training code.

References:
    Cubuk et al., RandAugment, https://arxiv.org/abs/1909.13719.
    timm's `rand-m7-mstd0.5-inc1`, which Wightman et al., https://arxiv.org/abs/2110.00476, train
    with: https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/auto_augment.py
    (operations that grow with the magnitude, each done by a chance of 1/2).

Keras' layer of this name is another augmentation: at 0.7 it rotates by up to 252 degrees, and
equalises a batch by one histogram.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

CHANCE = 0.5  # of an operation that was drawn
DEVIATION = 0.05  # of the strength, operation by operation
FILL = (124, 116, 104)  # ImageNet's mean, for what enters from outside the picture
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def _affine(matrix):
    """`matrix(v, size)` of an operation that moves pixels, to (picture, v, filter) -> picture."""

    def move(picture, value, resample):
        return picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            matrix(value, picture.size),
            resample=resample,
            fillcolor=FILL,
        )

    return move


def _enhance(kind):
    return lambda picture, value, _: kind(picture).enhance(1 + value)


def _rotate(picture, degrees, resample):
    return picture.rotate(degrees, resample=resample, fillcolor=FILL)


def _posterize(picture, bits, _):
    return ImageOps.posterize(picture, 4 - int(bits))


def _solarize(picture, value, _):
    return ImageOps.solarize(picture, 256 - int(value))


def _solarize_add(picture, value, _):
    table = [min(255, level + int(value)) if level < 128 else level for level in range(256)]
    return picture.point(table * 3)


# Name: (at strength 1, whether either sign is drawn, (picture, value, filter) -> picture).
OPERATIONS = {
    "auto_contrast": (0, False, lambda picture, *_: ImageOps.autocontrast(picture)),
    "equalize": (0, False, lambda picture, *_: ImageOps.equalize(picture)),
    "invert": (0, False, lambda picture, *_: ImageOps.invert(picture)),
    "rotate": (30, True, _rotate),  # degrees
    "posterize": (4, False, _posterize),  # of 4 bits, those that are dropped
    "solarize": (256, False, _solarize),  # below 256, from where on pixels are inverted
    "solarize_add": (110, False, _solarize_add),  # to pixels below 128
    "color": (0.9, True, _enhance(ImageEnhance.Color)),
    "contrast": (0.9, True, _enhance(ImageEnhance.Contrast)),
    "brightness": (0.9, True, _enhance(ImageEnhance.Brightness)),
    "sharpness": (0.9, True, _enhance(ImageEnhance.Sharpness)),
    "shear_x": (0.3, True, _affine(lambda v, size: (1, v, 0, 0, 1, 0))),
    "shear_y": (0.3, True, _affine(lambda v, size: (1, 0, 0, v, 1, 0))),
    "translate_x": (0.45, True, _affine(lambda v, size: (1, 0, v * size[0], 0, 1, 0))),
    "translate_y": (0.45, True, _affine(lambda v, size: (1, 0, 0, 0, 1, v * size[1]))),
}


def rand_augment(pixels: np.ndarray, operations: int, strength: float, seed) -> np.ndarray:
    """A picture after some operations out of `OPERATIONS`, drawn with replacement.

    Args:
        pixels: uint8 (height, width, 3), RGB.
        operations: how many are drawn, N of the paper.
        strength: in [0, 1], M / 10 of the paper.
        seed: integers >= 0, from which every number is drawn.

    Returns:
        uint8 (height, width, 3).

    >>> pixels = np.full((8, 8, 3), 100, "uint8")
    >>> rand_augment(pixels, operations=2, strength=0.7, seed=(0, 1)).shape
    (8, 8, 3)
    """
    random = np.random.default_rng(seed)
    picture, names = Image.fromarray(pixels), list(OPERATIONS)
    for number in random.integers(len(names), size=operations):
        most, either_sign, change = OPERATIONS[names[number]]
        if random.random() < CHANCE:
            value = most * min(max(random.normal(strength, DEVIATION), 0.0), 1.0)
            if either_sign and random.random() < 0.5:
                value = -value
            picture = change(picture, value, FILTERS[random.integers(len(FILTERS))])
    return np.asarray(picture)
