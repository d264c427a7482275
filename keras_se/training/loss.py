"""Cross-entropies with label smoothing."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_se")
class SmoothedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Cross-entropy against smoothed labels (Szegedy et al., section 7).

    With K classes and the one-hot label q, the target is (1 - e) q + e / K.
    https://arxiv.org/abs/1512.00567

    Keras smooths one-hot labels only (`SparseCategoricalCrossentropy` has no
    `label_smoothing`); this loss takes integers as well, and mixtures such as MixUp makes.

    Args:
        from_logits: bool, whether predictions are logits; else they are probabilities.
        label_smoothing: float in [0, 1], e above.
        **kwargs: the other arguments of `keras.losses.CategoricalCrossentropy`.

    Call arguments:
        y_true: integers in [0, K) of shape (b,) or (b, 1), or distributions of shape (b, K).
        y_pred: predictions of shape (b, K), K >= 2.

    Returns:
        The mean over the batch: a float32 scalar.

    >>> import numpy as np
    >>> labels, logits = np.array([1, 0]), np.array([[0.0, 2.0], [3.0, 0.0]])
    >>> loss = SmoothedCrossentropy(from_logits=True, label_smoothing=0.1)
    >>> round(float(loss(labels, logits)), 4)
    0.2128
    """

    def call(self, y_true, y_pred):
        if len(y_true.shape) < len(y_pred.shape):
            y_true = ops.expand_dims(y_true, -1)
        if y_true.shape[-1] == 1:  # (b, 1): integer labels
            y_true = ops.one_hot(ops.cast(y_true[..., 0], "int32"), y_pred.shape[-1])
        return super().call(y_true, y_pred)


@keras.saving.register_keras_serializable("keras_se")
class SmoothedBinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """One sigmoid per class against smoothed labels (Wightman et al., ResNet strikes back).

    With K classes and the one-hot or mixed label q, the target is (1 - e) q + e / K. With a
    threshold, q is 1 for every class that is mixed in by more than that, and else 0: a picture
    that is part dog, part cat shows both. https://arxiv.org/abs/2110.00476

    Keras' own `label_smoothing` is that of two classes: e / 2 in place of e / K, so that with
    a thousand classes the wrong ones outweigh the right one.

    Args:
        from_logits: bool, whether predictions are logits; else they are probabilities.
        label_smoothing: float in [0, 1], e above.
        threshold: float in [0, 1), or None, which keeps the mixture. timm's recipes have 0.2.
        **kwargs: the other arguments of `keras.losses.BinaryCrossentropy`.

    Call arguments:
        y_true: distributions of shape (b, K).
        y_pred: predictions of shape (b, K).

    Returns:
        The mean over the batch and the classes: a float32 scalar.

    >>> import numpy as np
    >>> loss = SmoothedBinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    >>> round(float(loss(np.array([[0.0, 1.0]]), np.array([[0.0, 2.0]]))), 4)
    0.46
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        threshold: float | None = None,
        **kwargs,
    ):
        super().__init__(from_logits=from_logits, **kwargs)
        self.smoothing = label_smoothing
        self.threshold = threshold

    def call(self, y_true, y_pred):
        if self.threshold is not None:
            y_true = y_true > self.threshold
        y_true = ops.cast(y_true, y_pred.dtype)
        kept = 1 - self.smoothing
        return super().call(kept * y_true + self.smoothing / y_pred.shape[-1], y_pred)

    def get_config(self):
        own = {"label_smoothing": self.smoothing, "threshold": self.threshold}
        return super().get_config() | own
