"""Batch normalisation as one reduction and one affine map."""

from typing import NamedTuple

import keras
from keras import ops

from ..lowering import add_layer
from ._common import check_channels_last
from ._kernel import has_kernel, normalise, normalise_by_batch


class AffineMap(NamedTuple):
    """What BatchNorm does to a feature map x: scale * x + offset, in float32 at least.

    `means` are the spatial means of the result, picture by picture, where they were
    asked for: SE's squeeze, read off the statistics without another look at x.
    """

    scale: keras.KerasTensor  # (c,)
    offset: keras.KerasTensor  # (c,)
    means: keras.KerasTensor | None  # (b, c)


@keras.saving.register_keras_serializable("keras_se")
class BatchNorm(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose statistics are read in one pass.

    With c = x - moving mean (no gradient through it), m = mean over h, w of c and
    q = mean over h, w of c^2, both (b, c) and read together:

        mean = mean over b of m,   variance = mean over b of (q - m^2) + (m - mean)^2
        y = k x + (beta - k (mean + moving mean)),   k = gamma / sqrt(variance + eps)

    The same results, weights and saved files as Keras' layer; a training step is faster,
    because the variance does not wait for the mean. Subtracting the moving mean first
    keeps the difference of squares exact to float32 where activations lie far from zero.

    Args:
        epsilon: float, added to the variance. Arguments go by name only: the first of Keras'
            layer is the axis.
        momentum: float, of the moving statistics.
        data_format: None or "channels_last"; nothing else is supported.
        **kwargs: the other arguments of `keras.layers.BatchNormalization`; the channels
            are the last axis.

    Call arguments:
        inputs: (batch, ..., channels).
        training: bool, whether to use and update batch statistics.
        mask: bool (batch, ...), which positions count; with one Keras' own two passes run.

    Returns:
        A tensor of the shape of `inputs`.

    Raises:
        ValueError: for another axis than the last, a channels-first data format, or
            renorm=True.

    >>> tuple(BatchNorm()(keras.ops.ones((2, 7, 7, 16)), training=True).shape)
    (2, 7, 7, 16)
    """

    def __init__(
        self,
        *,
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        data_format: str | None = None,
        **kwargs,
    ):
        axis = kwargs.pop("axis", -1)
        if kwargs.get("renorm"):
            raise ValueError("Batch renormalisation is not supported. Received: renorm=True")
        super().__init__(axis=axis, epsilon=epsilon, momentum=momentum, **kwargs)
        check_channels_last(self, data_format)
        if axis != -1:
            raise ValueError(f"The channels must be the last axis. Received: axis={axis}")

    def call(self, inputs, training=None, mask=None):
        if mask is not None:
            return super().call(inputs, training=training, mask=mask)
        if self.uses_kernel(inputs, training):
            return self._call_kernel(inputs, training)
        scale, offset, _ = self.affine_map(inputs, training)
        return ops.cast(ops.cast(inputs, scale.dtype) * scale + offset, self.compute_dtype)

    def uses_kernel(self, inputs, training=None) -> bool:
        """Whether one kernel of the backend normalises, here and now."""
        return not (self._learns(training) and self.synchronized) and has_kernel(inputs)

    def _learns(self, training) -> bool:
        return bool(training and self.trainable)

    def _call_kernel(self, inputs, training):
        channels = (inputs.shape[-1],)
        gamma = ops.cast(self.gamma, "float32") if self.scale else ops.ones(channels)
        beta = ops.cast(self.beta, "float32") if self.center else ops.zeros(channels)
        if not self._learns(training):
            mean = ops.cast(self.moving_mean, "float32")
            variance = ops.cast(self.moving_variance, "float32")
            return normalise(inputs, gamma, beta, mean, variance, self.epsilon)
        outputs, mean, variance = normalise_by_batch(inputs, gamma, beta, self.epsilon)
        self._update(mean, variance)
        return outputs

    def affine_map(self, inputs, training=None, means: bool = False) -> AffineMap:
        """Update the statistics if `training`, and return what to apply to `inputs`."""
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        moving_mean = ops.stop_gradient(ops.cast(self.moving_mean, x.dtype))
        if self._learns(training):
            centre, variance, picture_means = self._statistics(x, moving_mean)
            self._update(moving_mean + centre, variance)
        else:
            centre = ops.zeros_like(moving_mean)
            variance = ops.cast(self.moving_variance, x.dtype)
            picture_means = _spatial_mean(x) - moving_mean if means else None
        scale = ops.rsqrt(variance + self.epsilon)
        if self.scale:
            scale = scale * ops.cast(self.gamma, x.dtype)
        beta = ops.cast(self.beta, x.dtype) if self.center else 0.0
        if means:
            picture_means = (picture_means - centre) * scale + beta
        return AffineMap(scale, beta - (moving_mean + centre) * scale, picture_means)

    def _statistics(self, x, moving_mean):
        """Batch mean and variance, and each picture's mean, of x - moving_mean."""
        centred = x - moving_mean
        picture_means = _spatial_mean(centred)
        if self.synchronized:  # across replicas, by Keras
            mean, variance = self._moments(centred, None)
            return mean, variance, picture_means
        mean = ops.mean(picture_means, axis=0)
        within = _spatial_mean(ops.square(centred)) - ops.square(picture_means)
        variance = ops.mean(within + ops.square(picture_means - mean), axis=0)
        return mean, ops.maximum(variance, 0.0), picture_means

    def _update(self, mean, variance):
        keep = self.momentum
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            value = ops.cast(ops.stop_gradient(value), moving.dtype)
            moving.assign(moving * keep + value * (1 - keep))

    def lower(self, inputs, name):
        """Keras' own layer, which converters fold into the convolution before it."""
        config = self.get_config() | {"name": name, "dtype": "float32"}
        layer = keras.layers.BatchNormalization.from_config(config)
        return add_layer(layer, inputs, self.get_weights())


def _spatial_mean(x):
    """Mean over all axes but the first and the last: (b, ..., c) to (b, c)."""
    return ops.mean(x, axis=tuple(range(1, len(x.shape) - 1))) if len(x.shape) > 2 else x
