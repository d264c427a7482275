"""Compare a .tflite file with the Keras model that it came from."""

import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from ..names import counted
from .images import Images, load_images
from .labels import labels_of_model
from .lower import lower
from .normalisation import RAW_PIXELS, Normalisation, check_same, normalisation, with_origin
from .outputs import Outputs, run_both
from .qat.quantize import is_quantized
from .run import Runner, read_model
from .scores import share_equal, snr_db, top1
from .source import check_same_input

if TYPE_CHECKING:
    from .result import Result

LOW_SNR_DB = 10.0  # below it, a comparison warns


@dataclass(frozen=True)
class Comparison:
    """How a file's outputs differ from the Keras model's on the same images.

    Attributes:
        images: number of images.
        agreement: share of images with the same top-1 class; None unless the output is one
            row of at least two classes, or one sigmoid, of which there are two.
        float_accuracy, file_accuracy: top-1 accuracy of the Keras model and of the file;
            None without labels.
        snr_db: 10 log10(sum ref^2 / sum (ref - file)^2) over the dequantized outputs of all
            images, in dB; infinite when they are equal.
        max_abs_error, mean_abs_error: of the same values.
        measured_on: "logits" where the model ends in a softmax or sigmoid, else "outputs":
            what the three figures above are about.
        latency_ms: median time of one image in the file, batch 1.
        keras_latency_ms: median time of one call of the Keras model, batch 1, all threads,
            with the overhead of the call.
        runs: invocations behind `latency_ms`.
        num_threads: threads behind `latency_ms`.
        size_bytes: size of the file.
        only_class: the class that the Keras model gives to all images, where it is one for
            several: its name, or its number.
        no_accuracy: why images in folders have no accuracy; or None.
        unnormalised: whether pictures of a directory reached as raw pixels a model in which no
            layer is known to normalise them.
    """

    images: int
    agreement: float | None
    float_accuracy: float | None
    file_accuracy: float | None
    snr_db: float
    max_abs_error: float
    mean_abs_error: float
    measured_on: str
    latency_ms: float
    keras_latency_ms: float
    runs: int
    num_threads: int
    size_bytes: int
    only_class: str | None = None
    no_accuracy: str | None = None
    unnormalised: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against relying on the figures, a sentence each."""
        found = []
        if self.unnormalised:
            found.append(RAW_PIXELS)
        if self.only_class is not None:
            found.append(
                f"the model answers {self.only_class!r} for all {self.images} images: agreement "
                "says little"
            )
        if self.snr_db < LOW_SNR_DB:
            found.append(
                f"an SNR below {LOW_SNR_DB:.0f} dB: the error has more than a tenth of the power "
                f"of the {self.measured_on}"
            )
        return tuple(found)

    def to_dict(self) -> dict:
        """The fields as a JSON-able dictionary; an infinite or undefined number as a string."""
        return {
            key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        } | {"warnings": list(self.warnings)}

    def __str__(self) -> str:
        lines = [f"{counted(self.images, 'image')}, {self.measured_on} compared"]
        if self.agreement is not None:
            lines.append(f"top-1 agreement  {self.agreement:.2%}")
        if self.file_accuracy is not None:
            lines.append(
                f"top-1 accuracy   {self.file_accuracy:.2%} (Keras {self.float_accuracy:.2%})"
            )
        if self.no_accuracy is not None:
            lines.append(f"top-1 accuracy   left out: {self.no_accuracy}")
        lines += [
            f"SNR              {self.snr_db:.1f} dB",
            f"absolute error   {self.max_abs_error:.3g} max, {self.mean_abs_error:.3g} mean",
            f"latency          {self.latency_ms:.3f} ms (median of {counted(self.runs, 'run')}, "
            f"{counted(self.num_threads, 'thread')}; "
            f"Keras {self.keras_latency_ms:.3f} ms)",
            f"size             {self.size_bytes} bytes",
            *(f"warning: {warning}" for warning in self.warnings),
        ]
        return "\n".join(lines)


def compare(
    model: keras.Model,
    tflite: "Result | bytes | str | os.PathLike",
    images,
    labels=None,
    preprocess: Normalisation = None,
    runs: int = 20,
    num_threads: int = 1,
) -> Comparison:
    """Run a Keras model and its .tflite file on the same images.

    Args:
        model: the model that the file was made from.
        tflite: a `Result`, or bytes or path of the file.
        images: as `model.predict` takes them, or raw pixels in [0, 255] with `preprocess`:
            an array (n, h, w, c), a list of arrays, a `tf.data.Dataset`, or a directory of
            pictures (`keras_se.tflite.load_images`).
        labels: class indices in [0, classes) or one-hot rows, one for each image. None takes
            those of the dataset, or of the class folders: by their names where the model knows the
            names of its classes (`class_names`), else when there is a folder for every class.
        preprocess: as for `convert`: the one that it put into the file, or "included".
        runs: invocations behind the median latency, at least 1.
        num_threads: threads of the interpreter.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: for images or labels that do not fit, a file that is no TFLite model, or
            one whose input or output differs from the model's; for a `Result` with another
            normalisation.
        TypeError: for a subclassed model, or a file that is neither bytes nor a path.
    """
    if runs < 1:
        raise ValueError(f"runs must be at least 1. Received: runs={runs}")
    content = read_model(tflite)
    shape = Runner(content).image_shape
    check_same_input(model, shape)
    added, raw_pixels = normalisation(model, preprocess)
    check_same(tflite, raw_pixels, preprocess)
    loaded = with_origin(load_images(images, shape, raw_pixels), images, model, raw_pixels)
    checked = labels_of_model(loaded, model, labels)
    lowered = model if is_quantized(model) else lower(model, added, input_size=shape[:2])
    return compare_lowered(lowered, content, checked, runs, num_threads)


def compare_lowered(
    lowered: keras.Model, content: bytes, images: Images, runs: int = 20, num_threads: int = 1
) -> Comparison:
    """`compare` for a model that is already lowered, and checked images."""
    outputs = run_both(lowered, content, images, num_threads)
    return compare_outputs(outputs, content, images, runs, num_threads)


def compare_outputs(
    outputs: Outputs, content: bytes, images: Images, runs: int = 20, num_threads: int = 1
) -> Comparison:
    """The `Comparison` of outputs that are there already; only the latency is measured.

    The labels of the images are classes of the model (`labels_of_model`).
    """
    keras_scores = outputs.keras_scores
    keras_top1, file_top1 = top1(keras_scores), top1(outputs.file_scores)
    reference, values = outputs.keras_values, outputs.file_values
    error = np.abs(reference - values)
    return Comparison(
        images=len(images),
        agreement=share_equal(keras_top1, file_top1),
        float_accuracy=share_equal(keras_top1, images.labels),
        file_accuracy=share_equal(file_top1, images.labels),
        snr_db=snr_db(reference, values),
        max_abs_error=float(error.max()),
        mean_abs_error=float(error.mean()),
        measured_on=outputs.measured_on,
        latency_ms=Runner(content, num_threads).latency_ms(images.pixels[0], runs),
        keras_latency_ms=outputs.keras_latency_ms,
        runs=runs,
        num_threads=num_threads,
        size_bytes=len(content),
        only_class=_only_class(keras_scores, images.class_names),
        no_accuracy=images.no_labels,
        unnormalised=images.unnormalised,
    )


def _only_class(scores: np.ndarray | None, names) -> str | None:
    """The name, or number, of the class that is the answer to all of several images."""
    answers = top1(scores)
    if scores is None or answers is None or len(set(answers)) != 1 or len(answers) == 1:
        return None
    return names[answers[0]] if names and len(names) == scores.shape[1] else str(answers[0])
