"""Compare a .tflite file with the Keras model that it came from."""

import keras
import numpy as np

from ..file.run import File, Runner, read_model
from ..inputs.images import Images, load_images
from ..inputs.model_labels import labels_of_model
from ..inputs.normalisation import Normalisation, normalisation, with_origin
from ..inputs.source import check_same_input
from ..lowering.lower import lower
from ..qat.model import is_quantized
from ..result import check_same
from .comparison import Comparison
from .outputs import Outputs, run_both
from .scores import share_equal, snr_db, top1


def compare(
    model: keras.Model,
    tflite: File,
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
