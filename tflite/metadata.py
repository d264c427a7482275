"""TFLite metadata: what an app must know to feed a file and to name its answer.

The tables of the metadata schema, written with the flatbuffers builder.
Schema: https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import TypedDict, Unpack, overload

from .file import flatfile
from .file.flat_table import Table
from .file.flatfile import schema
from .file.inspect import inspect
from .file.label_file import LABEL_FILE, append_labels
from .file.run import Runner, read_model
from .result import Result

_NAME = "TFLITE_METADATA"  # of the entry in the model's list of metadata
_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"  # of the first parser that knows all the fields below
# Values of the schema's enumerations and unions.
_AXIS_LABELS = 2
_COLOUR_SPACES = {3: 1, 1: 2}  # RGB, GRAYSCALE, by number of channels
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_NORMALIZATION_OPTIONS = 1


class Description(TypedDict, total=False):
    """The options of `add_metadata`."""

    name: str
    description: str
    author: str
    licence: str
    version: str
    mean: float
    std: float


@overload
def add_metadata(
    model: Result, labels: Sequence[str], **options: Unpack[Description]
) -> Result: ...
@overload
def add_metadata(
    model: bytes | str | os.PathLike, labels: Sequence[str], **options: Unpack[Description]
) -> bytes: ...
def add_metadata(
    model: Result | bytes | str | os.PathLike,
    labels: Sequence[str],
    *,
    name: str = "",
    description: str = "",
    author: str = "",
    licence: str = "",
    version: str = "",
    mean: float = 0.0,
    std: float = 1.0,
) -> Result | bytes:
    """Describe an image classifier in its own file, so that an app can use it.

    MediaPipe Tasks' ImageClassifier (Android, iOS, Web, Python) loads such a file and answers
    with the names of the classes. What the file computes stays the same; metadata that it
    carried before are replaced.

    Args:
        model: a `Result`, or the bytes or the path of a .tflite file with one image input
            (1, h, w, 1 or 3), uint8 or float32, and one output (1, classes).
        labels: name of each class, in the order of the outputs.
        name, description, author, licence, version: of the model, for its users.
        mean, std: in pixel units; the input takes (pixel - mean) / std, which the app
            computes. The defaults stand for a file that takes raw pixels in [0, 255], as one
            converted with `preprocess` does. One number each: MediaPipe 1.2 refuses one for
            each channel. An integer input is fed the bytes of the picture, whatever they are.

    Returns:
        A new `Result`, or the new file as bytes.

    Raises:
        ValueError: for labels that do not fit the output or cannot stand on a line of their
            own, an input or output of another kind, a std of zero, a file that is no model.
        TypeError: for labels that are not strings.
        FileNotFoundError: when there is no file at the path.
    """
    content = model.model if isinstance(model, Result) else read_model(model)
    runner = Runner(content)
    image, scores = (runner.inputs + runner.outputs)[:2]
    if len(runner.inputs) != 1 or len(runner.outputs) != 1:
        raise ValueError(
            "Metadata describe an image classifier of one input and one output. "
            f"Received: inputs={runner.inputs}, outputs={runner.outputs}"
        )
    check_classifier(image.shape, image.dtype, scores.shape, scores.dtype, labels)
    if not std > 0:
        raise ValueError(f"std must be positive. Received: std={std}")
    tables = Table(
        name=(0, name),
        description=(1, description),
        version=(2, version),
        subgraphs=(
            3,
            [
                Table(
                    inputs=(2, [_image(float(mean), float(std), image.shape[3])]),
                    outputs=(3, [_scores()]),
                )
            ],
        ),
        author=(4, author),
        licence=(5, licence),
        parser=(7, _PARSER_VERSION),
    )
    described = append_labels(_embed(content, tables.to_bytes(_IDENTIFIER)), labels)
    if not isinstance(model, Result):
        return described
    report = dataclasses.replace(
        model.report,
        inspection=inspect(described),
        comparison=dataclasses.replace(model.report.comparison, size_bytes=len(described)),
    )
    return dataclasses.replace(model, model=described, report=report)


def check_classifier(
    image_shape, image_dtype: str, scores_shape, scores_dtype: str, labels: Sequence[str]
) -> None:
    """Raise unless labels fit a file, and an app's image classifier can feed it.

    Raises:
        TypeError, ValueError: as for `add_metadata`.
    """
    if len(image_shape) != 4 or image_shape[3] not in _COLOUR_SPACES or len(scores_shape) != 2:
        raise ValueError(
            "Metadata describe an image classifier: an input (1, height, width, 1 or 3) and an "
            f"output (1, classes). Received: {tuple(image_shape)} and {tuple(scores_shape)}"
        )
    if not {image_dtype, scores_dtype} <= {"uint8", "float32"}:
        raise ValueError(
            "Apps feed an image classifier uint8 or float32 (MediaPipe refuses others): "
            f'convert with io="uint8" or io="float32". Received: {image_dtype} and {scores_dtype}'
        )
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"labels are a sequence of strings. Received: labels={labels!r}")
    if len(labels) != scores_shape[1]:
        raise ValueError(
            f"One label is needed for each of the {scores_shape[1]} classes. "
            f"Received: {len(labels)} labels"
        )
    unfit = [label for label in labels if not label.strip() or len(label.splitlines()) != 1]
    if unfit:
        raise ValueError(f"A label is one line of text, and not empty. Received: {unfit[:3]}")


def _image(mean: float, std: float, channels: int) -> Table:
    """TensorMetadata of the input."""
    content = Table(
        kind=(0, _IMAGE_PROPERTIES), properties=(1, Table(colours=(0, _COLOUR_SPACES[channels])))
    )
    normalisation = Table(
        kind=(0, _NORMALIZATION_OPTIONS), options=(1, Table(mean=(0, [mean]), std=(1, [std])))
    )
    maximum, minimum = ([(pixel - mean) / std] for pixel in (255, 0))
    return Table(
        name=(0, "image"),
        description=(1, "The picture to be classified."),
        content=(3, content),
        process_units=(4, [normalisation]),
        stats=(5, Table(maximum=(0, maximum), minimum=(1, minimum))),
    )


def _scores() -> Table:
    """TensorMetadata of the output."""
    labels = Table(name=(0, LABEL_FILE), description=(1, "Class names."), kind=(2, _AXIS_LABELS))
    return Table(
        name=(0, "scores"),
        description=(1, "One score for each class."),
        content=(3, Table(kind=(0, _FEATURE_PROPERTIES), properties=(1, Table()))),
        associated_files=(6, [labels]),
    )


def _embed(content: bytes, metadata: bytes) -> bytes:
    """The file with a buffer of metadata, in place of the one that it may have."""
    model = flatfile.unpack(content)
    model.metadata = model.metadata or []
    entry = next((entry for entry in model.metadata if entry.name == _NAME.encode()), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = _NAME, len(model.buffers)
        model.metadata.append(entry)
        model.buffers.append(schema.BufferT())
    model.buffers[entry.buffer].data = flatfile.as_array(metadata)
    return flatfile.pack(model)
