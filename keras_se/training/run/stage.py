"""Optimizer, schedule and loss of one stage of a run."""

from dataclasses import dataclass

import keras

from ..compile import ends_in_logits
from ..loss import SmoothedBinaryCrossentropy, SmoothedCrossentropy
from ..optimizer import L2SGD, warmup_cosine
from ..precision import set_precision
from ..settings import FitSettings

MIXED_IN = 0.2  # of a picture, from which on it shows a class, for the loss "binary": timm's


@dataclass(frozen=True)
class Stage:
    """Epochs with one optimizer: of the classifier alone, or of the whole network."""

    index: int
    first: int
    end: int
    head: bool


class Trainable:
    """Which layers of a model may be trained, to have it again after the classifier's stage."""

    def __init__(self, model: keras.Model):
        # Keras has no public walk through the layers inside layers; an outer one comes before.
        self._flags = [(layer, layer.trainable) for layer in model._flatten_layers()]

    def restore(self) -> None:
        """Set every layer's `trainable` as it was, where it is not."""
        for layer, flag in self._flags:
            if layer.trainable != flag:
                layer.trainable = flag


def compile_stage(
    model: keras.Model, settings: FitSettings, stage: Stage, steps_per_epoch: int
) -> None:
    """Compile for a stage; in that of the classifier all other weights are frozen.

    Frozen layers infer: their BatchNorm keeps its statistics, as Keras' guide advises.
    """
    set_precision(model, settings.precision)
    if stage.head:
        _train_only_the_classifier(model)
    optimizer = make_optimizer(settings, stage, steps_per_epoch)
    if settings.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        loss=make_loss(model, settings),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile={"auto": "auto", "on": True, "off": False}[settings.jit],
    )


def _train_only_the_classifier(model) -> None:
    """Freeze every layer but the last one that has weights."""
    *others, last = (layer for layer in model.layers if layer.weights)
    for layer in others:
        layer.trainable = False
    last.trainable = True
    if isinstance(last, keras.Model):
        _train_only_the_classifier(last)


def make_loss(model: keras.Model, settings: FitSettings) -> keras.losses.Loss:
    """The loss by name; labels are one-hot or mixed.

    Raises:
        ValueError: for a model that does not end as the loss needs it.
    """
    from_logits = ends_in_logits(model)
    if settings.loss == "binary" and not from_logits:
        raise ValueError(
            'The loss "binary" is that of one sigmoid per class, of logits: the network must end '
            "in no activation (classifier_activation=None). "
            f"Received: loss='binary', {model.name!r} ending in a softmax"
        )
    smoothing = settings.label_smoothing
    if settings.loss == "binary":
        return SmoothedBinaryCrossentropy(from_logits, smoothing, threshold=MIXED_IN)
    return SmoothedCrossentropy(from_logits=from_logits, label_smoothing=smoothing)


def make_optimizer(
    settings: FitSettings, stage, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """The optimizer by name, with its schedule over the stage."""
    schedule = make_schedule(settings, stage, steps_per_epoch)
    shared = {"global_clipnorm": settings.clip_norm or None}
    if settings.ema and not stage.head:
        shared |= {"use_ema": True, "ema_momentum": settings.ema}
    if settings.optimizer == "sgd":
        return L2SGD(
            schedule,
            l2=settings.weight_decay,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            **shared,
        )
    kind = {"adamw": keras.optimizers.AdamW, "lamb": keras.optimizers.Lamb}[settings.optimizer]
    optimizer = kind(schedule, weight_decay=settings.weight_decay, **shared)
    # By name part: gamma, beta and bias are the vectors of Keras' layers.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def make_schedule(settings: FitSettings, stage, steps_per_epoch: int):
    """The learning rate of a stage; of the classifier alone it is constant."""
    scale = settings.batch_size / 256
    steps = (stage.end - stage.first) * steps_per_epoch
    if stage.head:
        return settings.head_learning_rate * scale
    peak = settings.base_learning_rate * scale
    if settings.schedule == "cosine":
        return warmup_cosine(peak, steps, settings.warmup)
    # Keras still takes the old rate at the boundary itself, a step counted from 0.
    boundaries = [round(part * steps) - 1 for part in settings.decay_at]
    values = [peak * 0.1**times for times in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
