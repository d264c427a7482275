"""The papers' training recipe as one call before an ordinary `model.fit`.

References:
    Hu et al., Squeeze-and-Excitation networks, section 5.1 and appendix (SGD with momentum
    0.9, label smoothing). https://arxiv.org/abs/1709.01507
    Goyal et al., Accurate, large minibatch SGD: 0.1 per 256 pictures, scaled linearly,
    warm-up. https://arxiv.org/abs/1706.02677
    He et al., Bag of tricks for image classification: cosine decay, label smoothing 0.1,
    no weight decay on biases and BatchNorm. https://arxiv.org/abs/1812.01187
"""

import keras

from ..layers._common import check_count
from ._arguments import check_number, check_positive
from .loss import SmoothedCrossentropy
from .optimizer import L2SGD, warmup_cosine
from .precision import check_built, check_precision, last_operation, set_precision


def compile_for_training(
    model: keras.Model,
    *,
    steps_per_epoch: int,
    epochs: int,
    batch_size: int,
    base_learning_rate: float = 0.1,
    warmup_fraction: float = 0.05,
    weight_decay: float = 1e-4,
    label_smoothing: float = 0.1,
    jit_compile: bool | str = "auto",
    precision: str | None = None,
) -> keras.Model:
    """Compile a classifier with the recipe of the papers; then call `model.fit` as ever.

    SGD with Nesterov momentum 0.9; the learning rate rises to
    `base_learning_rate * batch_size / 256` and falls to 0 in a half cosine over
    `steps_per_epoch * epochs` steps; cross-entropy against smoothed labels; the metric is
    accuracy. Labels may be integers or one-hot.

    Args:
        model: a built functional or sequential model with one output of shape (b, classes),
            ending in a softmax or in no activation (logits). Compiled in place.
        steps_per_epoch: int, batches in an epoch: `math.ceil(len(images) / batch_size)`.
        epochs: int, epochs of the whole run.
        batch_size: int, pictures in a step (on all devices together); give `fit` the same.
        base_learning_rate: float > 0, the peak learning rate of a batch of 256. For weights
            that are trained already a tenth of it or less.
        warmup_fraction: float in [0, 1), the part of all steps in which the learning rate
            rises; see `warmup_cosine`.
        weight_decay: float >= 0, the papers' number: the factor l2 of the penalty
            l2/2 ||w||^2, here on kernels only, not on biases and BatchNorm. Keras' own
            `weight_decay` is another quantity; see `L2SGD`.
        label_smoothing: float in [0, 1).
        jit_compile: bool or "auto". "auto" is Keras' rule: XLA on accelerators; on a CPU
            with TensorFlow none, where it costs; with PyTorch none; with JAX always.
        precision: "float32", "mixed_bfloat16" or "mixed_float16": the model is changed to it
            in place by `set_precision`. None leaves it as it was built. With mixed_float16
            the optimizer is wrapped in a LossScaleOptimizer.

    Returns:
        The model.

    Raises:
        TypeError: if `model` is not a Keras model.
        ValueError: if an argument is out of its range, if the model is not built, has several
            outputs or fewer than 2 classes, or if it ends in another activation.

    >>> import numpy as np
    >>> images, labels = np.random.rand(20, 8, 8, 3), np.arange(20) % 2
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3),
    ...     keras.layers.BatchNormalization(), keras.layers.ReLU(),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")])
    >>> model = compile_for_training(model, steps_per_epoch=2, epochs=3, batch_size=10)
    >>> history = model.fit(images, labels, batch_size=10, epochs=3, verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'loss']
    """
    check_count("steps_per_epoch", steps_per_epoch)
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    check_positive("base_learning_rate", base_learning_rate)
    check_number("warmup_fraction", warmup_fraction, 0, 1)
    check_number("weight_decay", weight_decay, 0)
    check_number("label_smoothing", label_smoothing, 0, 1)
    if jit_compile not in (True, False, "auto"):
        raise ValueError(
            f"`jit_compile` must be True, False or 'auto'. Received: jit_compile={jit_compile!r}"
        )
    if precision is not None:
        check_precision(precision)
    from_logits = ends_in_logits(model)

    if precision is not None:
        set_precision(model, precision)
    peak = base_learning_rate * batch_size / 256
    optimizer = L2SGD(
        warmup_cosine(peak, steps_per_epoch * epochs, warmup_fraction),
        l2=weight_decay,
        momentum=0.9,
        nesterov=True,
    )
    # Keras wraps by the policy of the model itself, which a saved functional model loses,
    # and with it the optimizer's state; a wrapper of ours is saved.
    if any(layer.compute_dtype == "float16" for layer in model._flatten_layers()):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        loss=SmoothedCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    return model


def ends_in_logits(model: keras.Model) -> bool:
    """Tell whether a classifier ends in logits (True) or in a softmax (False).

    Raises:
        TypeError, ValueError: see `compile_for_training`.
    """
    check_built(model)
    outputs = getattr(model, "outputs", None)
    if outputs is None or len(outputs) != 1 or (outputs[0].shape[-1] or 0) < 2:
        raise ValueError(
            "`model` must be functional or sequential, with one output of shape (b, classes) "
            "and at least 2 classes. "
            f"Received: model={model.name!r} with outputs {outputs and [o.shape for o in outputs]}"
        )
    layer = last_operation(model)
    activation = getattr(layer, "activation", None)
    if isinstance(layer, keras.layers.Softmax) or activation is keras.activations.softmax:
        return False
    if activation is keras.activations.linear:
        return True
    raise ValueError(
        "`model` must end in a softmax or in a layer with a linear activation (logits); for "
        "logits of another layer, append keras.layers.Activation('linear'). "
        f"Received: model={model.name!r} ending in {layer!r}"
    )
