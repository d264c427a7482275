"""The program: read the folder, tune by one of the `METHODS`, write the folder."""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow_model_optimization as tfmot

from .compression import clustered, pruned
from .dead import widen
from .quantization import calibrate, converted, fix_input, quantized
from .rebuild import build, check_rebuilt, trained_weights, weight_names
from .training import steps_per_epoch, train

CALIBRATION = 128  # pictures

# A method takes the plain model, task.json, its folder and the data, and returns the model whose
# weights go back, and the history of its training.


def quantize(model, task, folder, images, labels):
    tuned, raw_pixels = quantized(model), task["options"]["raw_pixels"]
    calibrate(tuned, np.asarray(images[:CALIBRATION], "float32"), raw_pixels)
    history = train(tuned, task["fit"], images, labels, [])
    if raw_pixels:
        fix_input(tuned)  # training moved it a little
    widen(tuned)
    (folder / "model.tflite").write_bytes(converted(tuned, images.shape[1:]))
    return tuned, history


def prune(model, task, folder, images, labels):
    steps = task["fit"]["epochs"] * steps_per_epoch(task["fit"], images)
    tuned = pruned(model, task["options"], steps)
    updates = [tfmot.sparsity.keras.UpdatePruningStep()]
    history = train(tuned, task["fit"], images, labels, updates)
    return tfmot.sparsity.keras.strip_pruning(tuned), history


def cluster(model, task, folder, images, labels):
    tuned = clustered(model, task["options"])
    history = train(tuned, task["fit"], images, labels, [])
    return tfmot.clustering.keras.strip_clustering(tuned), history


METHODS = {"quantize": quantize, "prune": prune, "cluster": cluster}


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    with np.load(folder / "weights.npz") as weights:
        model = build(task, weights)
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    names = weight_names(model)
    check_rebuilt(model, images[:4], np.load(folder / "expected.npy"))
    tuned, history = METHODS[task["method"]](model, task, folder, images, labels)
    np.savez(folder / "tuned.npz", **trained_weights(tuned, names))
    (folder / "result.json").write_text(json.dumps({"history": history}))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        Path(sys.argv[1], "error.txt").write_text(f"{type(error).__name__}: {error}")
        raise
