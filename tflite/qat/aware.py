"""`quantize_aware`, natively in Keras or through TensorFlow Model Optimization."""

import keras

from ..preprocess import Preprocess
from .quantize import quantize_native


def quantize_aware(
    model: keras.Model,
    preprocess: Preprocess | None = None,
    calibration=None,
    *,
    input_size: int | tuple[int, int] | None = None,
) -> keras.Model:
    return quantize_native(model, preprocess, calibration, input_size)
