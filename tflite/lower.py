"""Rebuild a Keras model as the float32 inference graph that is converted."""

from collections import Counter
from functools import partial

import keras
import numpy as np

from ..lowering import Lowerable, add_layer
from .preprocess import Preprocess, add_preprocess, check_preprocess
from .source import image_shape, subclassed_message

# Identities at inference.
_VANISHING = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.SpatialDropout2D,
)

TOLERANCE = 1e-5
# The original computes in 11 (float16) or 8 (bfloat16) bits; the lowered model does not.
_HALF_TOLERANCE = 5e-2
# A network may magnify the rounding of its input further than `TOLERANCE` allows (a BatchNorm
# of a small variance does). It then reproduces itself no better, and is measured by that.
_ROUNDINGS = 4
_LARGEST_TOLERANCE = 1e-3


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
    vanishes. The result is run beside the original on noise before it is returned.

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
            missing or contradicts the model's.
        RuntimeError: when the lowered model does not reproduce the original.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
    ...                           keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    >>> [type(layer).__name__ for layer in lower(model).layers]
    ['InputLayer', 'Flatten', 'Dense']
    """
    from .qat.model import QuantizedModel  # here, because it is lowered before it is quantised

    shape = image_shape(model, input_size)
    inputs = keras.Input(batch_shape=(batch_size, *shape), dtype="float32", name="image")
    x = inputs
    if preprocess is not None:
        check_preprocess(preprocess, shape[-1])
        x = add_preprocess(inputs, preprocess)
    rebuild = _Rebuild()
    outputs = keras.tree.flatten(rebuild.model(model, x, prefix=""))
    kind = QuantizedModel if isinstance(model, QuantizedModel) else keras.Model
    lowered = kind(inputs, outputs[0], name=model.name)
    check_equal(model, lowered, preprocess, _HALF_TOLERANCE if rebuild.half else TOLERANCE)
    return (drop_final_activation(lowered) or lowered) if logits else lowered


class _Rebuild:
    """One walk over a model and the models inside it."""

    def __init__(self):
        self.copies = {}  # of layers, so that a shared layer stays shared
        self.names: Counter[str] = Counter()
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
        name = self.unique_name(f"{prefix}{operation.name}")
        if isinstance(operation, keras.Layer):
            self.half |= operation.compute_dtype in ("float16", "bfloat16")
        if isinstance(operation, _VANISHING):
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

    def unique_name(self, name: str) -> str:
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name}_{self.names[name] - 1}"


def float32_copy(operation, name: str):
    """A layer or operation of the same configuration under a new name, without weights."""
    config = operation.get_config()
    if isinstance(operation, keras.Layer):
        config |= {"name": name, "dtype": "float32"}
    elif "name" in config:
        config["name"] = name
    return type(operation).from_config(config)


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


def drop_final_activation(lowered: keras.Model) -> keras.Model | None:
    """A lowered model without its final softmax or sigmoid; None when it has none.

    The activation may be a layer, a `keras.ops` node or the `activation=` of the last
    Dense or convolution layer. The weights of all other layers are shared.
    """
    last, call, _ = lowered.outputs[0]._keras_history
    source = last._inbound_nodes[call].input_tensors[0]
    if type(last).__name__ in ("Softmax", "Sigmoid"):  # the classes behind keras.ops are private
        return keras.Model(lowered.inputs[0], source, name=lowered.name)
    layers_with_activation = (
        keras.layers.Activation,
        keras.layers.Conv2D,
        keras.layers.Dense,
    )
    if not isinstance(last, layers_with_activation):
        return None
    if last.activation not in (keras.activations.softmax, keras.activations.sigmoid):
        return None
    name = f"{last.name}_logits"  # another one, so that both fit into one model
    copy = type(last).from_config(last.get_config() | {"activation": None, "name": name})
    outputs = add_layer(copy, source, last.get_weights())
    return keras.Model(lowered.inputs[0], outputs, name=lowered.name)


def check_equal(model, lowered, preprocess, tolerance: float) -> None:
    """Run both on noise; `lowered` must reproduce `model`.

    Scores are compared as logits: a softmax hides differences, or magnifies them.
    """
    name, layers = model.name, model.layers
    model, lowered = _without_softmax(model, lowered)
    random = np.random.default_rng(0)
    shape = (1, *lowered.inputs[0].shape[1:])
    if preprocess is None:
        noise = expected = random.normal(size=shape).astype("float32")
    else:
        noise = random.integers(0, 256, shape).astype("float32")
        expected = np.asarray(preprocess(noise), "float32")
    reference = _run(model, expected)
    result = _run(lowered, noise)
    if reference.shape != result.shape:
        raise RuntimeError(
            f"Lowering changed the output's shape from {reference.shape} to {result.shape}"
        )
    error, magnitude = np.abs(reference - result).max(), np.abs(reference).max()
    if error > tolerance * magnitude:
        rounding = _rounding_error(model, expected, reference) / magnitude
        tolerance = max(tolerance, min(_ROUNDINGS * rounding, _LARGEST_TOLERANCE))
        if not error <= tolerance * magnitude and rounding > _LARGEST_TOLERANCE:
            raise RuntimeError(
                f"Lowering {name!r} changed its output by {error:.3g}, and the last bit of its "
                f"input changes it by {rounding:.1%} of {magnitude:.3g}: nothing can be compared. "
                "So behave deep networks that were never trained."
            )
    if not error <= tolerance * magnitude:  # also when the error is NaN
        raise RuntimeError(
            f"Lowering {name!r} changed its output by {error:.3g}, with the largest output "
            f"being {magnitude:.3g} (allowed: {tolerance:g} of it). A layer whose `call` depends "
            "on more than its config and its weights, or is random at inference, cannot be "
            f"rebuilt; or preprocess differs from its own mean and std. Layers: "
            f"{sorted({type(layer).__name__ for layer in layers})}"
        )


def _without_softmax(*models):
    """All of them without their final activation, or none."""
    from .qat.model import QuantizedModel

    plain = all(isinstance(m, keras.Function) for m in models)
    if not plain or any(isinstance(m, QuantizedModel) for m in models):
        return models
    bare = [drop_final_activation(model) for model in models]
    return models if None in bare else bare


def _rounding_error(model, image, reference) -> float:
    """The largest change of the output when the last bit of every input value changes."""
    up_or_down = np.random.default_rng(0).choice([-np.inf, np.inf], image.shape)
    return np.abs(reference - _run(model, np.nextafter(image, up_or_down, dtype="float32"))).max()


def _run(model, image) -> np.ndarray:
    """The output for one image, whatever batch size the model was built with."""
    batch = model.inputs[0].shape[0] or 1
    outputs = model(np.repeat(image, batch, axis=0), training=False)
    return keras.ops.convert_to_numpy(keras.tree.flatten(outputs)[0])[:1].astype("float64")
