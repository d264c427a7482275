"""The floating-point precision that a finished model computes in."""

import keras

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def check_precision(precision) -> None:
    """Raise unless `precision` is one of `POLICIES`."""
    if precision not in POLICIES:
        raise ValueError(
            f"Unknown precision; expected one of {list(POLICIES)}. "
            f"Received: precision={precision!r}"
        )


def check_built(model: keras.Model) -> None:
    """Raise unless `model` is a Keras model that has its weights."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: model={model!r}")
    if not model.built:
        raise ValueError(
            "The model is not built: give it a keras.Input, or call it on a batch first. "
            f"Received: model={model.name!r}"
        )


def last_operation(model: keras.Model):
    """What makes the output of a functional or sequential model: a layer, or one of keras.ops."""
    last = model
    while getattr(last, "outputs", None):  # a model; a layer has no `outputs`
        last = last.layers[-1] if isinstance(last, keras.Sequential) else last.operations[-1]
    return last


def set_precision(model: keras.Model, precision: str) -> keras.Model:
    """Change the precision that a model computes in; its weights stay float32, and unchanged.

    Every layer, nested ones too, takes the dtype policy `precision`. The layer that makes the
    output stays in float32, as Keras advises for a softmax
    (https://www.tensorflow.org/guide/mixed_precision). A model that was trained in mixed
    precision goes back with "float32".

    Args:
        model: a built functional or sequential model with float32 weights. Changed in place;
            compile it afterwards, as `compile_for_training` does.
        precision: "float32", "mixed_bfloat16" (same range as float32; TPUs and recent GPUs) or
            "mixed_float16" (range to 65504: the loss needs scaling, which
            `compile_for_training` sets up).

    Returns:
        The model.

    Raises:
        TypeError: if `model` is not a Keras model.
        ValueError: if `precision` is unknown, if the model is not built, or if a trainable
            weight is not float32.

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    >>> [layer.compute_dtype for layer in set_precision(model, "mixed_bfloat16").layers]
    ['bfloat16', 'float32']
    """
    check_precision(precision)
    check_built(model)
    for variable in model.trainable_variables:
        if variable.dtype != "float32":
            raise ValueError(
                "Mixed precision needs float32 weights. "
                f"Received: a model whose {variable.path!r} is {variable.dtype}"
            )
    final = last_operation(model)
    # Keras has no public walk through the layers inside layers.
    for layer in model._flatten_layers():
        # Layers of other policies, such as integer lookups, are left alone.
        if layer.dtype_policy.name in POLICIES:
            layer.dtype_policy = "float32" if layer is final else precision
    return model
