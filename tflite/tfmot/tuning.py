"""What a caller asks of TensorFlow Model Optimization, and what comes back."""

from dataclasses import dataclass, field
from numbers import Integral

import keras


@dataclass(frozen=True)
class Tuning:
    """The training that goes with pruning, clustering or quantization.

    Attributes:
        images: as the model takes them, or raw pixels with `preprocess`: an array, a list, a
            dataset or a directory (`keras_se.tflite.load_images`).
        labels: class indices or one-hot rows; None takes those of the dataset or the folders.
        epochs: passes over the images.
        batch_size: images in a step.
        learning_rate: of SGD with momentum 0.9.

    Raises:
        ValueError: for less than one epoch or one image in a step, or a learning rate of 0.
    """

    images: object
    labels: object = None
    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 1e-3

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} is a whole number from 1. Received: {name}={value!r}")
        if not self.learning_rate > 0:  # also when it is NaN
            raise ValueError(
                f"learning_rate is above 0. Received: learning_rate={self.learning_rate!r}"
            )


@dataclass(frozen=True)
class Tuned:
    """What came back.

    Attributes:
        model: plain Keras 3 model, lowered, with the tuned weights; `convert` takes it, with
            `preprocess="included"` where it was tuned with a normalisation.
        history: loss and accuracy, one number for each epoch.
        tflite: the int8 file of a quantized model, uint8 in and out; None otherwise.
    """

    model: keras.Model
    history: dict[str, list[float]] = field(repr=False)
    tflite: bytes | None = field(default=None, repr=False)
