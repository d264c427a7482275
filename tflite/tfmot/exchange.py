"""A model and its task as files, for a process in which `tf.keras` means tf_keras, and back.

The other side is `child`, which says which file is what.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from ..file.run import Runner
from ..qat.graph import Node
from .tuning import Tuned


def write_task(
    folder: Path, plain: keras.Model, nodes: list[Node], task: dict, pixels, labels
) -> None:
    """Write what the child reads.

    Args:
        folder: an empty one.
        plain: the model, of layers that tf_keras has by the same names.
        nodes: of it, from `trace`.
        task: "method", its "options" and "fit", the training; for JSON.
        pixels: array (n, h, w, c), as the model takes them.
        labels: class indices (n,).
    """
    described = task | {"nodes": _described(plain, nodes)}
    (folder / "task.json").write_text(json.dumps(described, default=str))
    weights = {
        f"{layer.name}/{index}": weight
        for layer in plain.layers
        for index, weight in enumerate(layer.get_weights())
    }
    np.savez(folder / "weights.npz", **weights)
    np.save(folder / "images.npy", pixels)
    np.save(folder / "labels.npy", labels)
    few = keras.ops.convert_to_tensor(pixels[:4].astype("float32"))
    np.save(folder / "expected.npy", plain(few, training=False))


def _described(plain, nodes) -> list[dict]:
    """The calls of the model, its input first."""
    names = {node: f"n{index}" for index, node in enumerate(nodes)}
    described = [
        {"class": "InputLayer", "name": names[nodes[0]], "shape": plain.inputs[0].shape[1:]}
    ]
    for node in nodes[1:]:
        layer = node.operation
        described.append(
            {
                "class": type(layer).__name__,
                "name": names[node],
                "layer": layer.name,
                "config": layer.get_config(),
                # A kernel that must keep a form (CBAM's bands) is left alone.
                "trainable": layer.trainable and not getattr(layer, "kernel_constraint", None),
                "inputs": [names[source] for source in node.inputs],
                "many": isinstance(node.args[0], (list, tuple)),
            }
        )
    return described


def run_child(folder: Path) -> None:
    """Run the program over a folder with a task.

    Raises:
        RuntimeError: with its message, if it fails.
    """
    here = str(Path(__file__).parent)
    path = filter(None, (here, os.environ.get("PYTHONPATH")))
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | {
        "PYTHONPATH": os.pathsep.join(path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_USE_LEGACY_KERAS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "child", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    told = folder / "error.txt"
    message = told.read_text() if told.exists() else done.stderr[-2000:]
    raise RuntimeError(
        f"TensorFlow Model Optimization failed in its own process (exit code {done.returncode}): "
        f"{message}"
    )


def read_result(folder: Path, plain: keras.Model) -> Tuned:
    """What the child wrote, and the model with its weights.

    Args:
        folder: with the task and the result.
        plain: the model of the task; it gets the tuned weights.

    Raises:
        RuntimeError: if the child's file does not run.
    """
    with np.load(folder / "tuned.npz") as tuned:
        for layer in plain.layers:
            count = len(layer.weights)
            layer.set_weights([tuned[f"{layer.name}/{index}"] for index in range(count)])
    history = json.loads((folder / "result.json").read_text())["history"]
    file = folder / "model.tflite"
    content = file.read_bytes() if file.exists() else None
    if content is not None:
        try:
            Runner(content)(np.load(folder / "images.npy", mmap_mode="r")[0])
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(
                f"The file that TFMOT's network became does not run: {error}"
            ) from error
    return Tuned(plain, history, content)
