"""Hand a Keras 3 model to TensorFlow Model Optimization in a child process, and back.

TFMOT takes tf_keras models alone, and importing it makes `tf.keras` mean tf_keras in the
whole process. So it runs in a child; the caller's Keras stays what it was.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

from ..inputs.images import Images, load_images
from ..inputs.model_labels import labels_of_model
from ..inputs.normalisation import Normalisation, normalisation
from ..inputs.source import class_names_of, classes_of, image_shape
from ..lowering.lower import lower
from ..qat.canonical import canonical
from ..qat.graph import Node, trace
from ..qat.model import is_quantized
from ..qat.placement import activation_name, check_supported
from .exchange import read_result, run_child, write_task
from .tuning import Tuned, Tuning


def tune(
    model: keras.Model,
    method: str,
    tuning: Tuning,
    options: dict,
    preprocess: Normalisation = None,
    input_size: int | tuple[int, int] | None = None,
) -> Tuned:
    """Rebuild, tune and bring back a model; see `prune`, `cluster` and `quantize_aware`.

    Args:
        model: functional or Sequential, one image input and one row of classes as output.
        method: a name in `METHODS` of `child`.
        tuning: pictures, labels, and how to train.
        options: of the method, for JSON.
        preprocess: when given, it becomes the first layer; images are raw pixels.
        input_size: height and width in pixels, for a model that leaves them open.

    Raises:
        ImportError: without the extra `tfmot`.
        TypeError, ValueError: for a model, images or labels that do not fit; before any training.
        RuntimeError: when the child fails, with its message.
    """
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
    labels = _labels(tuning, images, model)
    plain = canonical(lower(model, added, batch_size=None, input_size=shape[:2]))
    plain.class_names = class_names_of(model)
    nodes = trace(plain)
    check_supported(nodes)
    fit = {
        "epochs": tuning.epochs,
        "batch_size": tuning.batch_size,
        "learning_rate": tuning.learning_rate,
        "from_logits": _ends_in_logits(nodes),
    }
    task = {"method": method, "options": options, "fit": fit}
    with tempfile.TemporaryDirectory(prefix="keras_se_tfmot_") as name:
        folder = Path(name)
        write_task(folder, plain, nodes, task, images.pixels, labels)
        run_child(folder)
        return read_result(folder, plain)


def _labels(tuning: Tuning, images: Images, model: keras.Model) -> np.ndarray:
    """Checked class indices: the caller's, or those of the dataset or of the class folders."""
    checked = labels_of_model(images, model, tuning.labels)
    if checked.labels is not None:
        return checked.labels
    if images.labels is not None:
        raise ValueError(
            f"A folder for each of the {classes_of(model)} classes is needed where labels come "
            "from folders; else pass Tuning(images, labels). "
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
