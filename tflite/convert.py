"""Convert a Keras model to a .tflite file that was run before it is returned."""

from collections.abc import Sequence

import keras

from .bounds import Bounds
from .choose import CANDIDATES, choose
from .inputs.images import load_images
from .inputs.model_labels import labels_of_model
from .inputs.normalisation import Normalisation, normalisation, with_origin
from .inputs.source import classes_of, image_shape
from .job import POOR_SNR_DB, Job
from .lowering.logits import drop_final_activation
from .lowering.lower import lower
from .passes import Lowering
from .qat.deploy import deployed
from .qat.model import is_quantized
from .recipe import Recipe, get_recipe
from .requests import (
    check_classes,
    check_lowering,
    check_quantized_options,
    labels_for,
    noise,
    that_take,
)
from .result import BoundNotMet, Result


def convert(
    model: keras.Model,
    recipe: str | Recipe = "static_int8",
    calibration=None,
    *,
    io: str | None = None,
    logits: bool = False,
    preprocess: Normalisation = None,
    input_size: int | tuple[int, int] | None = None,
    lowering: Lowering | None = None,
    min_snr_db: float | None = None,
    min_agreement: float | None = None,
    max_accuracy_drop: float | None = None,
    labels: Sequence[str] | None = None,
) -> Result:
    """Convert a Keras 3 image model to TensorFlow Lite, and measure what was lost.

    The model is lowered (`keras_se.tflite.lower`), its batch fixed to 1, converted with the
    built-in operators alone, and run beside the Keras model on the caller's images.

    Args:
        model: functional or Sequential model, one image input and one output; or one from
            `quantize_aware`, which brings its own ranges and preprocessing.
        recipe: a name in `RECIPES`, a `Recipe`, or "auto": the fastest recipe whose file
            keeps the bounds below on the images (without any: `min_agreement=0.99`, and
            `min_snr_db=30` where there are no classes). The report shows what it chose from;
            it converts five times.
        calibration: images as `model.predict` takes them, or raw pixels in [0, 255] with
            `preprocess`: an array (n, h, w, c), a list of arrays, a `tf.data.Dataset`, or a
            directory of pictures (`keras_se.tflite.load_images`; a directory gives raw
            pixels, so without `preprocess` they reach the model unchanged). Needed for
            static recipes; the others use them for the comparison alone, and noise without.
            What a dataset yields besides images counts where it is labels of the model's
            classes, and is left out otherwise, unless `max_accuracy_drop` needs them.
        io: dtype of the file's input and output: "uint8" (the default of static_int8 and
            mixed_int8, what phone APIs feed), "int8" (theirs too), "int16" (of static_int16x8)
            or "float32" (any; the default of the others).
        logits: leave out a final softmax or sigmoid.
        preprocess: put the normalisation into the file, which then takes raw RGB pixels in
            [0, 255]; an integer input then has scale 1, and as uint8 zero point 0. "included"
            says that the model normalises raw pixels itself, as those of `strip`, `prune` and
            `cluster` do that were given `preprocess`.
        input_size: height and width in pixels, for a model that leaves them open.
        lowering: which of several equal forms the file takes; None is `Lowering()`,
            the fastest on a CPU. A model from `quantize_aware` takes `groups` alone.
        min_snr_db: refuse a file with a lower signal-to-noise ratio, in dB.
        min_agreement: refuse a file with a lower top-1 agreement, in [0, 1].
        max_accuracy_drop: refuse a file whose top-1 accuracy is more than that lower than the
            Keras model's, both in [0, 1]; needs images with labels.
        labels: name of each class, for a file that an app's image classifier loads as it is
            (`keras_se.tflite.add_metadata`); needs `preprocess`, since apps feed raw pixels.
            None takes the names that the model knows (`class_names`), where such a file can be
            made.

    Returns:
        A `Result`: bytes, recipe, and the report of the comparison. However poor, it is
        returned, unless it misses a bound that was passed.

    Raises:
        TypeError: for a subclassed model, images of an unknown kind, or a `lowering` that is none.
        ValueError: for an unknown recipe or io, images that are missing, empty, of another
            shape, NaN or out of range; all before the conversion starts.
        RuntimeError: when the model cannot be lowered exactly, the converter refuses it, the
            file does not run or is not of the recipe's dtypes; or on a Keras backend other
            than TensorFlow.
        BoundNotMet: when the file misses a bound; with "auto", when every file does.
    """
    auto = recipe == "auto"
    candidates = [get_recipe(name) for name in CANDIDATES] if auto else [get_recipe(recipe)]
    if io is not None:
        candidates = that_take(io, candidates)
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Conversion needs Keras on TensorFlow: save the model, set KERAS_BACKEND=tensorflow, "
            f"load it again. Received: backend {keras.backend.backend()!r}"
        )
    shape = image_shape(model, input_size)
    forms = check_lowering(lowering)
    bounds = Bounds(min_snr_db, min_agreement, max_accuracy_drop)
    classes = classes_of(model)
    if auto and bounds == Bounds():
        bounds = Bounds(min_agreement=0.99) if classes else Bounds(min_snr_db=POOR_SNR_DB)
    check_classes(bounds, classes, model)
    quantized = is_quantized(model)
    if quantized:
        check_quantized_options(recipe, lowering)
    added, raw_pixels = normalisation(model, preprocess)
    labels = labels_for(labels, model, shape, raw_pixels, io)
    if calibration is not None:
        needed = bounds.max_accuracy_drop is not None  # to calibrate, the pictures are enough
        loaded = load_images(calibration, shape, raw_pixels, strict_labels=needed)
        loaded = with_origin(loaded, calibration, model, raw_pixels)
        images, compared_on = labels_of_model(loaded, model, strict=needed), "images"
    elif auto or (candidates[0].needs_calibration and not quantized):
        raise ValueError(
            f"Recipe {'auto' if auto else candidates[0].name!r} needs images to learn the ranges "
            "of the activations: pass calibration=, an array, a dataset or a directory; some "
            "hundred typical pictures"
        )
    else:
        images, compared_on = noise(shape, raw_pixels), "noise"
    if bounds.max_accuracy_drop is not None and images.labels is None:
        raise ValueError(
            "max_accuracy_drop needs labels: a dataset of (image, label), or a folder for each of "
            f"the {classes} classes. Received: max_accuracy_drop={max_accuracy_drop}, images "
            f"without labels{f' ({images.no_labels})' if images.no_labels else ''}"
        )

    if quantized:
        lowered = deployed(model, forms.groups)
    else:
        lowered = lower(model, added, input_size=shape[:2])
    job = Job(
        name=model.name,
        reference=model if quantized else lowered,
        lowered=lowered,
        final=(drop_final_activation(lowered) or lowered) if logits else lowered,
        images=images,
        compared_on=compared_on,
        raw_pixels=raw_pixels,
        quantized=quantized,
        io=io,
        lowering=forms,
        labels=labels,
    )
    if auto:
        return choose(job.convert_by, candidates, bounds, images)
    result = job.convert_by(candidates[0])
    violation = bounds.violation(result.report.comparison)
    if violation is not None:
        raise BoundNotMet(violation, result)
    return result
