"""Rebuild a Keras model as the float32 inference graph that is converted."""

from functools import partial

import keras
import numpy as np

from ...graph import scope_name, unique_names
from ...lowering import Lowerable, add_layer
from ...walk import inner_layers
from ..inputs.preprocess import Preprocess, add_preprocess, check_preprocess
from ..inputs.source import image_shape, subclassed_message
from ..qat.model import QuantizedModel
from .copies import float32_copy
from .equality import TOLERANCE, check_equal
from .identities import IDENTITIES
from .logits import drop_final_activation

# The original computes in 11 (float16) or 8 (bfloat16) bits; the lowered model does not.
_HALF_TOLERANCE = 5e-2


def lower(
    model: keras.Model,
    preprocess: Preprocess | None = None,
    logits: bool = False,
    batch_size: int | None = 1,
    input_size: int | tuple[int, int] | None = None,
) -> keras.Model:
    """Rebuild a model from primitive Keras layers, in float32, with the same weights.

    Layers with a `lower` method (`keras_se.lowering.Lowerable`) lower themselves, nested
    models are inlined, and what is an identity at inference (dropout, augmentation)
    vanishes. The result is run beside the original on an image of patches before it is returned.

    Args:
        model: functional or Sequential Keras 3 model with one image input (b, h, w, c) and
            one output, of any dtype policy. It is not changed.
        preprocess: when given, it becomes the first layer, and the lowered model takes raw
            RGB pixels in [0, 255].
        logits: leave out a final softmax or sigmoid, if there is one.
        batch_size: batch dimension of the lowered model; None leaves it open.
        input_size: height and width of the input in pixels, needed when the model leaves
            them open.

    Returns:
        A functional float32 `keras.Model`, equal to the original in inference within
        1e-5 of the output's largest magnitude (5e-2 for a model that computes in half
        precision; up to 1e-3 for one whose own output changes by a quarter of that when the
        last bit of its input does).

    Raises:
        TypeError: for a subclassed model, or one inside the model.
        ValueError: for several inputs or outputs, an input that is no image, a size that is
            missing or contradicts the model's; for layers that `keras.Model.quantize` rounded.
        RuntimeError: when the lowered model does not reproduce the original.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    >>> [type(layer).__name__ for layer in lower(model).layers]
    ['InputLayer', 'Flatten', 'Dense']
    """
    shape = image_shape(model, input_size)
    inputs = keras.Input(batch_shape=(batch_size, *shape), dtype="float32", name="image")
    x = inputs
    if preprocess is not None:
        check_preprocess(preprocess, shape[-1])
        x = add_preprocess(inputs, preprocess)
    rebuild = _Rebuild()
    outputs = keras.tree.flatten(rebuild.model(model, x, prefix=""))
    kind = QuantizedModel if isinstance(model, QuantizedModel) else keras.Model
    lowered = kind(inputs, outputs[0], name=scope_name(model.name))
    check_equal(model, lowered, preprocess, _HALF_TOLERANCE if rebuild.half else TOLERANCE)
    return (drop_final_activation(lowered) or lowered) if logits else lowered


class _Rebuild:
    """One walk over a model and the models inside it."""

    def __init__(self):
        self.copies = {}  # of layers, so that a shared layer stays shared
        self.unique_name = unique_names(set())
        self.half = False

    def model(self, model, x, prefix: str):
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                x = self.call(prefix, layer, x)
            return x
        # The one private call: keras.models.clone_model uses it too, but gives a nested
        # model inputs of its own, so that the result would not be flat.
        return model._run_through_graph(x, call_fn=partial(self.call, prefix))

    def call(self, prefix: str, operation, *args, **kwargs):
        arguments = {k: v for k, v in kwargs.items() if k not in ("training", "mask")}
        inputs = args[0] if args else arguments.get("inputs")
        name = self.unique_name(scope_name(f"{prefix}{operation.name}"))
        if isinstance(operation, keras.Layer):
            _check_float(operation)
            self.half |= operation.compute_dtype in ("float16", "bfloat16")
        if isinstance(operation, IDENTITIES):
            return inputs
        if isinstance(operation, keras.layers.Pipeline):
            for layer in operation.layers:
                inputs = self.call(f"{name}_", layer, inputs)
            return inputs
        if isinstance(operation, Lowerable):
            return operation.lower(inputs, name)
        if isinstance(operation, keras.layers.Normalization):
            return _lower_normalization(operation, inputs, name)
        if isinstance(operation, (keras.Function, keras.Sequential)):
            return self.model(operation, inputs, f"{name}_")
        if isinstance(operation, keras.Model):
            raise TypeError(subclassed_message(operation))
        if id(operation) in self.copies:
            return self.copies[id(operation)](*args, **arguments)
        copy = self.copies[id(operation)] = float32_copy(operation, name)
        outputs = copy(*args, **arguments)
        if isinstance(operation, keras.Layer):
            copy.set_weights(operation.get_weights())
        return outputs


def _check_float(layer) -> None:
    """Raise for a layer that Keras' own `quantize` has rounded, or one inside it."""
    for path, each in ((layer.name, layer), *inner_layers(layer, layer.name)):
        mode = each.quantization_mode
        if mode is not None and each.weights:
            raise ValueError(
                "A float model is converted, and the recipe rounds it: convert before "
                f"`model.quantize`. Received: layer {path!r}, quantized to {mode!r}"
            )


def _lower_normalization(layer, inputs, name: str):
    """Its statistics are attributes that `set_weights` does not restore: pass them as constants."""
    copy = keras.layers.Normalization(
        axis=layer.axis,
        mean=np.squeeze(layer.mean),
        variance=np.squeeze(layer.variance),
        invert=layer.invert,
        dtype="float32",
        name=name,
    )
    return add_layer(copy, inputs)
