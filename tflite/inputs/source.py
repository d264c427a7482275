"""Which Keras models can be converted, the size of their input, and their classes."""

from numbers import Integral

import keras
import numpy as np

from ..lowering.logits import final_activation


def image_shape(model: keras.Model, input_size=None) -> tuple[int, int, int]:
    """Height, width and channels of a model's one image input.

    Args:
        model: functional or built Sequential model.
        input_size: height and width in pixels, or one number for both; None takes the model's.

    Raises:
        TypeError, ValueError: as for `lower`.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"A Keras 3 model is needed. Received: model={model!r}")
    if not isinstance(model, (keras.Function, keras.Sequential)):
        raise TypeError(subclassed_message(model))
    if not model.built:
        raise ValueError(
            f"The Sequential model {model.name!r} has no input shape yet: begin it with "
            "keras.Input((height, width, channels))"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "An image model is needed: one input (batch, height, width, channels) and one "
            "output, of several for example keras.Model(model.inputs, model.outputs[0]). "
            f"Received: inputs={[tuple(t.shape) for t in model.inputs]}, "
            f"outputs={[tuple(t.shape) for t in model.outputs]}"
        )
    _, *size, channels = model.inputs[0].shape
    if input_size is not None:
        asked = tuple(input_size) if np.ndim(input_size) else (input_size, input_size)
        if len(asked) != 2 or not all(isinstance(a, Integral) and int(a) > 0 for a in asked):
            raise ValueError(
                "input_size is a number of pixels, or height and width. "
                f"Received: input_size={input_size!r}"
            )
        if any(h not in (None, a) for h, a in zip(size, asked, strict=True)):
            raise ValueError(
                f"The model takes images of {size[0]}x{size[1]} (height, width). "
                f"Received: input_size={input_size}"
            )
        size = [int(a) for a in asked]
    if None in (*size, channels):
        raise ValueError(
            "A converted file has one input size and the model leaves it open: pass "
            f"input_size=(height, width). Received: model input {model.inputs[0].shape}"
        )
    return (*size, channels)


def check_same_input(model: keras.Model, shape: tuple[int, int, int]) -> None:
    """Raise unless a model takes the images that a file takes, (h, w, c)."""
    inputs = list(getattr(model, "inputs", None) or [])
    own = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else None
    if own is None or len(own) != 3:
        return  # `lower` says what is needed
    if any(size not in (None, other) for size, other in zip(own, shape, strict=True)):
        raise ValueError(
            f"The file is not of this model: the model takes images of {own} (height, width, "
            f"channels), the file {tuple(shape)}"
        )


def classes_of(model: keras.Model) -> int | None:
    """Number of classes; None where the output is neither one row of at least two nor a sigmoid."""
    output = model.outputs[0].shape
    if len(output) != 2:
        return None
    if output[1] != 1:
        return output[1]
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, (keras.Function, keras.Sequential)):  # of a model inside the model
        return classes_of(last)
    return 2 if final_activation(model) is keras.activations.sigmoid else None


def class_names_of(model: keras.Model) -> tuple[str, ...] | None:
    """What a model calls its classes, as one that `keras_se.training.fit` trained does."""
    names = getattr(model, "class_names", None)
    return tuple(names) if names and len(names) == classes_of(model) else None


def subclassed_message(model: keras.Model) -> str:
    return (
        f"{model.name!r} is a subclassed model ({type(model).__name__}): its layers cannot be "
        "read from its `call`. Build it as keras.Model(inputs, outputs) or keras.Sequential, "
        "or, where it is a part of such a model, give it a method `lower(inputs, name)` "
        "(keras_se.lowering.Lowerable)"
    )
