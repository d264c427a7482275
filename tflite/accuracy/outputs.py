"""What a model and its file give for the same images."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from ..file.flatfile import with_logits
from ..file.run import Runner
from ..inputs.images import Images
from ..lowering.logits import drop_final_activation, final_activation
from ..qat.model import QuantizedModel, is_quantized
from .scores import class_rows


@dataclass(frozen=True)
class Outputs:
    """What a lowered model and its file gave for the same images.

    Attributes:
        keras, file: their outputs, each (n, ...), in float.
        keras_values, file_values: the same, or the logits where the model ends in a softmax
            or sigmoid: what errors are measured on.
        measured_on: "logits" or "outputs", accordingly.
        keras_latency_ms: median time of one call of the Keras model.
        activation: the softmax or sigmoid that the model ends in; None without.
        left_out: whether the file leaves it out.
    """

    keras: np.ndarray
    file: np.ndarray
    keras_values: np.ndarray
    file_values: np.ndarray
    measured_on: str
    keras_latency_ms: float
    activation: Callable | None = None
    left_out: bool = False

    @property
    def keras_scores(self) -> np.ndarray | None:
        """`class_rows` of the Keras model."""
        return class_rows(self.keras, self.activation is keras.activations.sigmoid)

    @property
    def file_scores(self) -> np.ndarray | None:
        """`class_rows` of the file."""
        return self.scores(self.file)

    def scores(self, outputs: np.ndarray) -> np.ndarray | None:
        """`class_rows` of a file like this one, through the activation that it leaves out."""
        if self.activation is not None and self.left_out:
            tensor = keras.ops.convert_to_tensor(outputs)
            outputs = keras.ops.convert_to_numpy(self.activation(tensor))
        return class_rows(outputs, self.activation is keras.activations.sigmoid)


def run_both(lowered: keras.Model, content: bytes, images: Images, num_threads: int = 1) -> Outputs:
    """Run a model, lowered or from `quantize_aware`, and its file on checked images, one by one.

    Raises:
        ValueError: for a file with another output than the model's.
    """
    expected, got = lowered.outputs[0].shape[1:], Runner(content).outputs[0].shape[1:]
    if expected != got:
        raise ValueError(
            f"The file is not of this model: its output is {got}, the model's is {expected}"
        )
    # Both return their output and then, where they end in a softmax or sigmoid, the logits.
    logits_model = drop_final_activation(lowered)
    values = [] if logits_model is None else [logits_model.output]
    kind = QuantizedModel if is_quantized(lowered) else keras.Model
    probe_model = kind(lowered.inputs[0], [lowered.output, *values])
    keras_outputs, keras_latency_ms = _run_keras(probe_model, images.pixels)
    file, file_values = run_file(content, images, logits_model is not None, num_threads)
    return Outputs(
        keras=keras_outputs[0],
        file=file,
        keras_values=keras_outputs[-1],
        file_values=file_values,
        measured_on="outputs" if logits_model is None else "logits",
        keras_latency_ms=keras_latency_ms,
        activation=final_activation(lowered),
        left_out=with_logits(content) is None,
    )


def run_file(
    content: bytes, images: Images, logits: bool, num_threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a file, (n, ...), and the same again or, with `logits`, its logits."""
    runner = Runner((with_logits(content) or content) if logits else content, num_threads)
    outputs = _by_output([runner(image) for image in images.pixels])
    return outputs[0], outputs[-1]


def _run_keras(model: keras.Model, pixels: np.ndarray) -> tuple[list[np.ndarray], float]:
    """Outputs, each (n, ...), and the median time of an image in ms."""
    model.compile(jit_compile=False)  # compiling with XLA would cost more than it saves here
    outputs, times = [], []
    model.predict_on_batch(pixels[:1].astype("float32"))  # which traces and compiles, untimed
    for image in pixels:
        start = time.perf_counter()
        outputs.append(keras.tree.flatten(model.predict_on_batch(image[None].astype("float32"))))
        times.append(time.perf_counter() - start)
    return _by_output(outputs), float(np.median(times) * 1e3)


def _by_output(rows: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(column) for column in zip(*rows, strict=True)]
