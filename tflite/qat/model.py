"""The quantized model: fake quantization in training, the file's integers at inference."""

from collections.abc import Iterator

import keras

from ...class_names import ClassNames
from ..inputs.source import image_shape
from . import integers
from .fake_quant import FakeQuant


@keras.saving.register_keras_serializable("keras_se")
class QuantizedModel(ClassNames):
    """A functional model from `quantize_aware`; built as `keras.Model(inputs, outputs)`.

    In training its layers round floats. At inference on TensorFlow (`predict`, `evaluate`,
    validation) they compute the int8 file's own sums of integers, rounded where XNNPACK rounds
    them, so that what is evaluated is what a phone computes. Other backends round floats there
    too. `class_names` are those of the model that was quantized, or None.
    """

    @property
    def compute_dtype(self):
        """float32 whatever the global policy, or weights that `call` reads would be cast."""
        return "float32"

    def call(self, inputs, training=None, mask=None):
        tensorflow = keras.backend.backend() == "tensorflow"  # the others have no float64
        if training or not tensorflow or any(layer.observing for layer in fake_quants(self)):
            return super().call(inputs, training=training, mask=mask)
        outputs = self._run_through_graph(self._standardize_inputs(inputs), call_fn=integers.run)
        return keras.tree.map_structure(integers.value, outputs)


def is_quantized(model: keras.Model) -> bool:
    """Whether a model came from `quantize_aware`."""
    return isinstance(model, keras.Model) and any(fake_quants(model))


def check_quantized(model: keras.Model) -> None:
    """Raise unless a model came from `quantize_aware`."""
    image_shape(model)
    if not is_quantized(model):
        raise ValueError(
            f"A model from `quantize_aware` is needed; {model.name!r} has no FakeQuant layer"
        )


def takes_raw_pixels(model: keras.Model) -> bool:
    """Whether a quantized model has its preprocessing inside."""
    first = next(fake_quants(model))
    return (first.low, first.high) == (0.0, 255.0)


def fake_quants(model: keras.Model) -> Iterator[FakeQuant]:
    """The layers that hold a range."""
    return (layer for layer in model.layers if isinstance(layer, FakeQuant))
