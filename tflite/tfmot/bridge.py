"""Hand a Keras 3 model to TensorFlow Model Optimization in a child process, and back.

TFMOT takes tf_keras models alone, and importing it makes `tf.keras` mean tf_keras in the
whole process. So it runs in a child; the caller's Keras stays what it was.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path

import keras
import numpy as np

from ..images import Images, load_images
from ..labels import checked_labels
from ..lower import lower
from ..normalisation import Normalisation, normalisation
from ..qat.canonical import canonical
from ..qat.graph import Node, trace
from ..qat.placement import activation_name, check_supported
from ..qat.quantize import is_quantized
from ..run import Runner
from ..source import image_shape


@dataclass(frozen=True)
class Tuning:
    """The training that goes with pruning, clustering or quantization.

    Attributes:
        images: as the model takes them, or raw pixels with `preprocess`: an array, a list, a
            dataset or a directory (`keras_se.tflite.load_images`).
        labels: class indices or one-hot rows; None takes those of the dataset or the folders.
        epochs: passes over the images.
        batch_size: images in a step.
        learning_rate: of SGD with momentum 0.9.

    Raises:
        ValueError: for less than one epoch or one image in a step, or a learning rate of 0.
    """

    images: object
    labels: object = None
    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 1e-3

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} is a whole number from 1. Received: {name}={value!r}")
        if not self.learning_rate > 0:  # also when it is NaN
            raise ValueError(
                f"learning_rate is above 0. Received: learning_rate={self.learning_rate!r}"
            )


@dataclass(frozen=True)
class Tuned:
    """What came back.

    Attributes:
        model: plain Keras 3 model, lowered, with the tuned weights; `convert` takes it, with
            `preprocess="included"` where it was tuned with a normalisation.
        history: loss and accuracy, one number for each epoch.
        tflite: the int8 file of a quantized model, uint8 in and out; None otherwise.
    """

    model: keras.Model
    history: dict[str, list[float]] = field(repr=False)
    tflite: bytes | None = field(default=None, repr=False)


def tune(
    model: keras.Model,
    method: str,
    tuning: Tuning,
    options: dict,
    preprocess: Normalisation = None,
    input_size: int | tuple[int, int] | None = None,
) -> Tuned:
    """Rebuild, tune and bring back a model; see `prune`, `cluster` and `quantize_aware`."""
    shape = image_shape(model, input_size)
    if is_quantized(model):
        raise ValueError(f"{model.name!r} is quantized already; `strip` gives the plain model")
    if find_spec("tensorflow_model_optimization") is None or find_spec("tf_keras") is None:
        raise ImportError("This needs TensorFlow Model Optimization: pip install 'keras-se[tfmot]'")
    output = model.outputs[0].shape
    if len(output) != 2 or output[1] == 1:
        raise ValueError(
            "The training is that of a classifier: one row of at least 2 classes. "
            f"Received: output {output}"
        )
    added, raw_pixels = normalisation(model, preprocess)
    images = load_images(tuning.images, shape, raw_pixels)
    labels = _labels(tuning, images, output[1])
    plain = canonical(lower(model, added, batch_size=None, input_size=shape[:2]))
    nodes = trace(plain)
    check_supported(nodes)
    with tempfile.TemporaryDirectory(prefix="keras_se_tfmot_") as name:
        folder = Path(name)
        _write_task(folder, plain, nodes, method, tuning, options)
        np.save(folder / "images.npy", images.pixels)
        np.save(folder / "labels.npy", labels)
        few = keras.ops.convert_to_tensor(images.pixels[:4].astype("float32"))
        np.save(folder / "expected.npy", plain(few, training=False))
        _run_child(folder)
        return _read_result(folder, plain)


def _labels(tuning: Tuning, images: Images, classes: int) -> np.ndarray:
    """Checked class indices: the caller's, or those of the dataset or of the class folders."""
    labels = checked_labels(images, tuning.labels, classes).labels
    if labels is not None:
        return labels
    if images.labels is not None:
        raise ValueError(
            f"A folder for each of the {classes} classes is needed where labels come from "
            "folders; else pass Tuning(images, labels). "
            f"Received: {len(images.class_names or ())} folders"
        )
    raise ValueError("Labels are needed: pass Tuning(images, labels)")


def _ends_in_logits(nodes: list[Node]) -> bool:
    """Whether the loss has to apply the softmax."""
    last = nodes[-1]
    while last.is_a(keras.layers.Flatten, keras.layers.Reshape):
        last = last.inputs[0]
    activation = activation_name(last.operation)
    if activation == "sigmoid":
        raise ValueError(
            "The training is that of a classifier with one class for each picture: logits or a "
            "softmax. Received: a model that ends in a sigmoid"
        )
    return activation != "softmax"


def _write_task(folder: Path, plain, nodes: list[Node], method, tuning: Tuning, options) -> None:
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
    fit = {
        "epochs": tuning.epochs,
        "batch_size": tuning.batch_size,
        "learning_rate": tuning.learning_rate,
        "from_logits": _ends_in_logits(nodes),
    }
    task = {"method": method, "options": options, "fit": fit, "nodes": described}
    (folder / "task.json").write_text(json.dumps(task, default=str))
    weights = {
        f"{layer.name}/{index}": weight
        for layer in plain.layers
        for index, weight in enumerate(layer.get_weights())
    }
    np.savez(folder / "weights.npz", **weights)


def _run_child(folder: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    script = Path(__file__).with_name("child.py")
    done = subprocess.run(
        [sys.executable, "-P", str(script), str(folder)],
        env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3"},
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


def _read_result(folder: Path, plain: keras.Model) -> Tuned:
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
