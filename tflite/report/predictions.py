"""Where a file's classes differ from the Keras model's: pictures, and the confusion matrix."""

import io
from dataclasses import dataclass, field

import numpy as np

from ..accuracy.outputs import Outputs
from ..inputs.images import Images

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LOST, WON, BOTH_WRONG = "lost", "won", "both wrong"


@dataclass(frozen=True)
class Disagreement:
    """A picture to which the file gives another class than the Keras model.

    Attributes:
        index: of the picture.
        label: its class, or None without labels.
        keras_class, file_class: what each says.
        keras_score, file_score: what each gives to its own class: a probability where the
            model ends in a softmax or sigmoid, also of a file that leaves it out; else the output.
        picture: as PNG, or None for images that are none (neither 1, 3 nor 4 channels).
    """

    index: int
    label: int | None
    keras_class: int
    file_class: int
    keras_score: float
    file_score: float
    picture: bytes | None = field(default=None, repr=False)

    @property
    def outcome(self) -> str | None:
        """ "lost": the file alone is wrong; "won": Keras alone is; None without a label."""
        if self.label is None:
            return None
        if self.keras_class == self.label:
            return LOST
        return WON if self.file_class == self.label else BOTH_WRONG


@dataclass(frozen=True)
class Change:
    """A cell of the confusion matrix that holds another number of pictures in the file.

    Attributes:
        true, predicted: classes, as indices.
        keras, file: pictures in the cell, by the Keras model and by the file.
    """

    true: int
    predicted: int
    keras: int
    file: int


@dataclass(frozen=True)
class Confusion:
    """Confusion matrices of the Keras model and of the file on the same pictures.

    Attributes:
        keras, file: pictures by true class (rows) and predicted class (columns).
    """

    keras: tuple[tuple[int, ...], ...]
    file: tuple[tuple[int, ...], ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """The cells that differ, the largest difference first."""
        rows = [
            Change(true, predicted, keras, file)
            for true, (left, right) in enumerate(zip(self.keras, self.file, strict=True))
            for predicted, (keras, file) in enumerate(zip(left, right, strict=True))
            if keras != file
        ]
        return tuple(sorted(rows, key=lambda row: -abs(row.file - row.keras)))


def confusion(labels, keras_classes, file_classes, classes: int) -> Confusion:
    """Count pictures by true and predicted class, for both.

    >>> confusion([0, 0, 1], [0, 0, 1], [0, 1, 1], 2).changes[0]
    Change(true=0, predicted=0, keras=2, file=1)
    """
    matrices = []
    for predicted in (keras_classes, file_classes):
        matrix = np.zeros((classes, classes), int)
        np.add.at(matrix, (np.asarray(labels), np.asarray(predicted)), 1)
        matrices.append(tuple(map(tuple, matrix.tolist())))
    return Confusion(*matrices)


def disagreements(
    outputs: Outputs, images: Images, labels: np.ndarray | None, shown: int
) -> tuple[Disagreement, ...]:
    """All pictures whose classes differ; the most certain of Keras' first.

    Args:
        outputs: of both.
        images: what they were run on.
        labels: (n,), or None.
        shown: how many carry their picture.
    """
    keras_scores, file_scores = outputs.keras_scores, outputs.file_scores
    if keras_scores is None or file_scores is None:
        return ()
    keras_classes, file_classes = keras_scores.argmax(axis=1), file_scores.argmax(axis=1)
    indices = np.flatnonzero(keras_classes != file_classes)
    scores = keras_scores[indices, keras_classes[indices]]
    encode = _encoder(images.pixels)
    rows = []
    for rank, index in enumerate(indices[np.argsort(-scores, kind="stable")].tolist()):
        keras_class, file_class = int(keras_classes[index]), int(file_classes[index])
        rows.append(
            Disagreement(
                index=index,
                label=None if labels is None else int(labels[index]),
                keras_class=keras_class,
                file_class=file_class,
                keras_score=float(keras_scores[index, keras_class]),
                file_score=float(file_scores[index, file_class]),
                picture=encode(images.pixels[index]) if rank < shown else None,
            )
        )
    return tuple(rows)


def _encoder(pixels: np.ndarray):
    """What makes a PNG of one image; images that are no pixels are stretched to [0, 255]."""
    from PIL import Image

    mode = _MODES.get(pixels.shape[-1])
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype == np.uint8 or (low >= 0 and 1 < high <= 255):
        low, high = 0.0, 255.0

    def encode(image) -> bytes | None:
        if mode is None:
            return None
        scaled = (np.asarray(image, "float32") - low) * (255 / max(high - low, 1e-6))
        picture = Image.fromarray(np.squeeze(scaled.round().astype("uint8")), mode)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    return encode
