"""Measure a .tflite file in every respect that a report shows."""

import datetime
import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import keras

from ..._version import __version__
from ..accuracy.compare import compare_outputs
from ..accuracy.gates import measure_gates
from ..accuracy.layerwise import layer_errors
from ..accuracy.outputs import run_both
from ..accuracy.scores import top1
from ..file import flatfile
from ..file.inspect import inspect
from ..file.label_file import read_labels
from ..file.run import Runner, read_model
from ..inputs.images import Images, load_images
from ..inputs.model_labels import labels_of_model
from ..inputs.normalisation import INCLUDED, Normalisation, normalisation, with_origin
from ..inputs.source import check_same_input, classes_of
from ..lowering.lower import lower
from ..passes import Lowering
from ..qat.deploy import deployed
from ..qat.model import is_quantized
from ..qat.quantize import strip
from ..recipe import RECIPES
from ..result import Result, check_same
from .facts import Origin
from .file_report import FileReport
from .nodes import read_nodes
from .predictions import confusion, disagreements
from .recipes import (
    SAMPLE_IMAGES,
    Kernels,
    check_recipes,
    convert_by_all,
    recipe_of,
    rows,
    time_all,
)
from .support import Compilation, all_devices

_LIBRARIES = ("keras", "tensorflow", "ai-edge-litert", "numpy")
_MEASURED = "keras_se.tflite.report: LiteRT loads the file with XNNPACK, its plan is read"


def report(
    model: keras.Model,
    file: Result | bytes | str | os.PathLike,
    images,
    labels=None,
    *,
    preprocess: Normalisation = None,
    class_names: Sequence[str] | None = None,
    lowering: Lowering | None = None,
    recipes: Sequence[str] = tuple(RECIPES),
    shown: int = 24,
    runs: int = 25,
    num_threads: int = 1,
    vela: Compilation | None = None,
    command: str = "",
) -> FileReport:
    """Measure a .tflite file beside its Keras model, for one page or JSON.

    The file is run on all images, layer by layer on a few, with XNNPACK and without; the model
    is converted by every other recipe to stand beside it; devices are looked up operator by
    operator.

    Args:
        model: the model that the file was made from.
        file: a `Result`, or bytes or path of the file.
        images: held-out pictures, as for `compare`.
        labels: class indices in [0, classes) or one-hot rows. None takes those of the dataset
            or of the class folders, as for `compare`.
        preprocess: as for `convert`: the one that it put into the file, or "included".
        class_names: in the order of the outputs. None takes those of the model, the
            class folders or the file's metadata, or numbers.
        lowering: the one that the file was converted with; for the other recipes.
        recipes: to convert by, beside the file; float32 always is.
        shown: at most so many pictures of disagreements are in the page.
        runs: invocations behind each latency; all files take turns.
        num_threads: threads of the interpreter.
        vela: what the Ethos-U compiler said of the file, in place of its documentation.
        command: that makes the report again, to be shown.

    Returns:
        A `FileReport`; `save_html` and `save_json` write it.

    Raises:
        ValueError: for images, labels, names or recipes that do not fit, a file that is no
            TFLite model or is not of this model; before the long work starts.
        TypeError: for a subclassed model.
        RuntimeError: when the model does not convert to float32.
    """
    recipes = check_recipes(recipes)
    for name, value, least in (("shown", shown, 0), ("runs", runs, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}. Received: {name}={value}")
    content = file.model if isinstance(file, Result) else read_model(file)
    quantized = is_quantized(model)
    added, raw_pixels = normalisation(model, preprocess)
    check_same(file, raw_pixels, preprocess)
    shape = Runner(content).image_shape
    check_same_input(model, shape)
    images = with_origin(load_images(images, shape, raw_pixels), images, model, raw_pixels)
    images = labels_of_model(images, model, labels)
    lowered = deployed(model) if quantized else lower(model, added, input_size=shape[:2])
    classes = classes_of(model) or lowered.outputs[0].shape[-1]
    names = _class_names(class_names, images, content, classes)

    outputs = run_both(lowered, content, images, num_threads)
    comparison = compare_outputs(outputs, content, images, 1, num_threads)
    nodes, inspection = read_nodes(content), inspect(content)
    own = file.recipe.name if isinstance(file, Result) else recipe_of(nodes)
    results, problems = convert_by_all(
        strip(model) if quantized else model,
        [recipe for recipe in recipes if recipe != own],
        images,
        preprocess=added or (INCLUDED if raw_pixels else None),
        input_size=shape[:2],
        lowering=lowering,
        logits=flatfile.final_activation(flatfile.unpack(content)) is None,
    )
    if "float32" in problems:
        raise RuntimeError(problems["float32"])
    files = {name: result.model for name, result in results.items()}
    own_file = {own: content} if own in recipes else {}
    with_, without, latencies = time_all(content, files, images.pixels[0], runs, num_threads)
    files, latencies = files | own_file, latencies | dict.fromkeys(own_file, with_)
    keras_classes, date = top1(outputs.keras_scores), datetime.datetime.now(datetime.UTC).date()
    delegated = len(inspection.sequence) - len(inspection.not_delegated)
    return FileReport(
        model_name=model.name,
        parameters=model.count_params(),
        file_name=Path(file).name if isinstance(file, (str, os.PathLike)) else "",
        sha256=hashlib.sha256(content).hexdigest(),
        recipe=own,
        class_names=names,
        comparison=replace(comparison, latency_ms=with_, runs=runs),
        confusion=None
        if images.labels is None
        else confusion(images.labels, keras_classes, top1(outputs.file_scores), classes),
        disagreements=disagreements(outputs, images, images.labels, shown),
        layers=() if own == "float32" else layer_errors(files["float32"], content, images),
        gates=measure_gates(files["float32"], images),
        inspection=inspection,
        kernels=(
            Kernels("XNNPACK", with_, inspection.partitions, delegated),
            Kernels("built-in kernels", without, 0, 0),
        ),
        recipes=rows(files, latencies, problems, own, outputs, images, recipes),
        recipe_images=min(len(images), SAMPLE_IMAGES),
        devices=all_devices(inspection, nodes, command or _MEASURED, str(date), vela),
        origin=Origin(
            command=command,
            date=str(date),
            machine=machine(),
            versions={"keras_se": __version__} | {name: version(name) for name in _LIBRARIES},
            runs=runs,
            num_threads=num_threads,
        ),
    )


def _class_names(given, images: Images, content: bytes, classes: int) -> tuple[str, ...]:
    if given is not None:
        if len(given) != classes:
            raise ValueError(
                f"class_names names each of the {classes} classes. Received: {len(given)} names"
            )
        return tuple(map(str, given))
    for names in (images.class_names, read_labels(content)):
        if names is not None and len(names) == classes:
            return names
    return tuple(map(str, range(classes)))


def machine() -> str:
    """Processor and number of cores: "AMD EPYC 9B14, 2 cores"."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = found[0].partition(":")[2].strip() if found else name
    return f"{name}, {platform.machine()}, {os.cpu_count()} cores"
