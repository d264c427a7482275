"""Classify pictures with MediaPipe Tasks, in an environment of its own (make test-mediapipe).

    python tests/mediapipe_check.py FOLDER

The folder holds pictures.npy, (n, h, w, 3) uint8, and .tflite files; the answers, and what
MediaPipe's own schema reads of the metadata, go to answers.json. tests/test_metadata.py
makes the folder and checks the answers.
"""

import json
import sys
from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions


def classify(path: Path, pictures: np.ndarray) -> list[list]:
    """Name and score of the best class of each picture."""
    options = ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=str(path)), max_results=1
    )
    answers = []
    with ImageClassifier.create_from_options(options) as classifier:
        for picture in pictures:
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
            [best] = classifier.classify(image).classifications[0].categories
            answers.append([best.category_name, best.score])
    return answers


def metadata(path: Path) -> dict:
    """The metadata, read with the classes that MediaPipe generated from the schema."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    content = bytes(model.buffers[entry.buffer].data)
    assert metadata_schema.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    tree = metadata_schema.ModelMetadataT.InitFromPackedBuf(content, 0)
    return to_json(tree)


def to_json(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "__dict__"):
        return {key: to_json(item) for key, item in vars(value).items() if item is not None}
    return value


def main(folder: Path) -> None:
    pictures = np.load(folder / "pictures.npy")
    answers = {
        path.name: {"answers": classify(path, pictures), "metadata": metadata(path)}
        for path in sorted(folder.glob("*.tflite"))
    }
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
