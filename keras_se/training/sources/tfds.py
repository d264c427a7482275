"""Pictures of TensorFlow Datasets, out of the files that it has prepared."""

import contextlib
import difflib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...picture_reading import open_picture
from .._tensorflow import load_tensorflow
from .one_download import one_download
from .source import Source
from .tfrecord import TFRecords, places_of

HELD_OUT = ("validation", "test")
KEYS = ("image", "label")  # of a data set that does not say which ones are its pairs


def tfds_pictures(data: str, silent: bool = False) -> tuple[Source, Source | None]:
    """The pictures of a data set by its name, which is downloaded and prepared where it is not.

    Args:
        data: NAME, NAME/CONFIG, NAME:VERSION as `tfds.load` takes them, and perhaps
            #TRAINING or #TRAINING,VALIDATION of its splits, such as
            "oxford_flowers102#train+validation,test" or "cats_vs_dogs#train[:50%]". Without
            them "train", and "validation", else "test", where there is one with labels.
        silent: whether to hold back what TensorFlow Datasets says while it prepares.

    Returns:
        The training pictures and the validation pictures, or None in the place of these.

    Raises:
        ImportError: if tensorflow_datasets is not installed.
        OSError: if it cannot be downloaded or prepared.
        ValueError: for an unknown name or split; if it holds no pictures of 8 bits with one
            class each.
    """
    name, _, splits = data.partition("#")
    builder = _prepared(name, silent)
    image, label = _keys(builder)
    there = [split for split, info in builder.info.splits.items() if info.num_examples]
    training, _, validation = splits.partition(",")
    if not training and "train" not in there:
        raise ValueError(
            f"tfds:{name} has no split 'train': name one behind a #, such as "
            f"tfds:{name}#{(there or ['test'])[0]}. Received: a data set with the splits {there}"
        )
    kept = _labelled(builder, training or "train", image, label)
    if validation:
        return kept, _labelled(builder, validation, image, label)
    if training:
        return kept, None
    held_out = (_source(builder, split, image, label) for split in HELD_OUT if split in there)
    return kept, next((source for source in held_out if source.labels.min() >= 0), None)


def _prepared(name: str, silent: bool):
    """The builder of a data set that lies in the folder of TensorFlow Datasets."""
    builder = _builder(name)
    if builder.data_path.exists():
        return builder
    load_tensorflow()  # encodes pictures, and need take no GPU for that
    try:
        with (
            one_download(f"tfds {builder.info.full_name}"),
            _silenced() if silent else contextlib.nullcontext(),
        ):
            builder.download_and_prepare()
    except Exception as error:  # of requests, of the disk, of the data set's own code
        raise OSError(
            f"TensorFlow Datasets could not prepare {builder.info.full_name!r} in "
            f"{str(builder.data_path)!r}: {type(error).__name__}: {error}"
        ) from error
    return _builder(name)  # which knows the splits, even if another process has made them


def _builder(name: str):
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f'tfds:NAME needs TensorFlow Datasets: pip install "keras-se[tfds]" ({error})'
        ) from error
    try:
        return tfds.builder(name)
    except tfds.core.registered.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.partition("/")[0].partition(":")[0], known)
        raise ValueError(
            f"TensorFlow Datasets knows no {name!r}, and none is prepared in "
            f"{tfds.core.constants.DATA_DIR!r} (TFDS_DATA_DIR); near are {near}"
        ) from error
    except AssertionError as error:  # a version that is none
        raise ValueError(f"{error}. Received: data='tfds:{name}'") from error


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _keys(builder) -> tuple[str, str]:
    """What the picture and its class are called."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    held = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    for image, label in (tuple(builder.info.supervised_keys or KEYS)[:2], KEYS):
        picture = held.get(image) if isinstance(image, str) else None
        name = held.get(label) if isinstance(label, str) else None
        readable = isinstance(picture, tfds.features.Image) and picture.np_dtype == np.uint8
        if readable and isinstance(name, tfds.features.ClassLabel):
            return image, label
    raise ValueError(
        "A data set to train with has pictures of 8 bits and one class for each of them "
        f"(features Image and ClassLabel). Received: {builder.info.full_name!r} with {features}"
    )


def _labelled(builder, split: str, image: str, label: str) -> Source:
    source = _source(builder, split, image, label)
    if source.labels.min() < 0:
        raise ValueError(
            f"Not all pictures of {builder.info.full_name!r} have a class, in {split!r}"
        )
    return source


def _source(builder, split: str, image: str, label: str) -> Source:
    """Pictures of a split; their labels are read once, with everything else that is in it."""
    from tensorflow.train import Example

    records = _records(builder, split)

    def value(number: int, key: str):
        return Example.FromString(records[int(number)]).features.feature[key]

    def read(number: int) -> np.ndarray:
        content = value(number, image).bytes_list.value[0]
        return np.asarray(open_picture(io.BytesIO(content), "RGB", name(number)))

    def name(number: int) -> str:
        return f"{builder.info.full_name} {split}[{number}]"

    labels = [value(number, label).int64_list.value[0] for number in range(len(records))]
    return Source(read, np.array(labels), tuple(builder.info.features[label].names), name)


def _records(builder, split: str) -> Sequence[bytes]:
    """`tf.train.Example`s as bytes, by number."""
    import tensorflow_datasets as tfds

    chosen = builder.info.splits[split]
    if not chosen.num_examples:
        raise ValueError(f"There are no pictures in {split!r} of {builder.info.full_name!r}")
    kind = builder.info.file_format.value
    if kind == "array_record":
        whole = tfds.decode.DeserializeMethod.RAW_BYTES
        return builder.as_data_source(split, deserialize_method=whole)
    if kind != "tfrecord":
        raise ValueError(
            "Data sets are read that lie in files of the format tfrecord or array_record; "
            "`tfds convert_format` makes them. "
            f"Received: {builder.info.full_name!r} as {kind} in {str(builder.data_path)!r}"
        )
    places = []
    for part in chosen.file_instructions:
        places += places_of(Path(part.filename))[part.skip : part.skip + part.take]
    return TFRecords(places)
