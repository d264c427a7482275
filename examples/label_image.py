"""Name what is on a picture, with a .tflite file and nothing of TensorFlow or Keras.

    pip install ai-edge-litert pillow numpy
    python examples/label_image.py model.tflite picture.jpg

The file takes raw pixels (it was converted with `preprocess`) and carries its labels
(`labels=` or `keras-se convert --labels`); without them, the classes are numbers.
"""

import argparse
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def main() -> None:
    parser = argparse.ArgumentParser(description="Name what is on a picture.")
    parser.add_argument("model", help=".tflite file")
    parser.add_argument("picture", help="PNG or JPEG")
    parser.add_argument("--top", type=int, default=3, help="answers to print (default: 3)")
    arguments = parser.parse_args()

    interpreter = Interpreter(arguments.model)
    interpreter.allocate_tensors()
    scores = classify(interpreter, arguments.picture)
    labels = read_labels(arguments.model) or range(len(scores))
    for index in np.argsort(-scores, kind="stable")[: arguments.top]:
        print(f"{scores[index]:.4f}  {labels[index]}")


def classify(interpreter: Interpreter, picture: str) -> np.ndarray:
    """The scores of all classes, (classes,)."""
    [image], [output] = interpreter.get_input_details(), interpreter.get_output_details()
    _, height, width, _ = image["shape"]
    with Image.open(picture) as file:
        upright = ImageOps.exif_transpose(file).convert("RGB")
    resized = upright.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized)[None]
    if image["dtype"] == np.int8:  # the pixel minus 128
        pixels = pixels.astype("int16") - 128
    interpreter.set_tensor(image["index"], pixels.astype(image["dtype"]))
    interpreter.invoke()
    stored = interpreter.get_tensor(output["index"])[0].astype("float32")
    scale, zero_point = output["quantization"]
    return (stored - zero_point) * scale if scale else stored


def read_labels(model: str) -> list[str] | None:
    """Labels that stand in the zip archive at the end of the file."""
    try:
        with zipfile.ZipFile(model) as archive:
            return archive.read("labels.txt").decode().splitlines()
    except zipfile.BadZipFile:
        return None


if __name__ == "__main__":
    main()
