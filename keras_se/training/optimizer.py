"""The optimizer of the papers, and the learning rate over a run.

References:
    He et al., Deep residual learning, section 3.4: SGD, momentum 0.9, weight decay 1e-4.
    https://arxiv.org/abs/1512.03385
    Goyal et al., Accurate, large minibatch SGD: warm-up (section 2.2), no weight decay on
    BatchNorm, Nesterov momentum (section 5.1). https://arxiv.org/abs/1706.02677
    Loshchilov & Hutter, SGDR, eq. 5: the cosine. https://arxiv.org/abs/1608.03983
"""

import keras
from keras import ops

from ..layers._common import check_count
from ._arguments import check_number, check_positive


@keras.saving.register_keras_serializable("keras_se")
class L2SGD(keras.optimizers.SGD):
    """SGD with the papers' weight decay, on kernels only.

    With the loss gradient g, the learning rate lr, the momentum m and, for every
    variable w of rank 2 or more,

        g <- g + l2 * w,   v <- m v - lr g,   w <- w + m v - lr g   (Nesterov)

    Biases and BatchNorm's gamma and beta (rank 1) are not decayed.

    This is the gradient of loss + l2/2 ||w||^2, what "weight decay 1e-4" means in the
    papers, in Caffe and in PyTorch's SGD. The `weight_decay` of Keras' own optimizers is
    another quantity: it shrinks w by lr * weight_decay outside the momentum, so the same
    shrinkage takes l2 / (1 - m), ten times the number at m = 0.9. Its list of exceptions is
    not saved in a `.keras` file either, so that a resumed run would decay BatchNorm; here
    the rule is part of the class.

    Args:
        learning_rate: float or `keras.optimizers.schedules.LearningRateSchedule`.
        l2: float >= 0, the papers' weight decay.
        **kwargs: the other arguments of `keras.optimizers.SGD`, but `weight_decay`.

    Raises:
        ValueError: if `l2` is negative or no number, or if `weight_decay` is given too.

    >>> L2SGD(0.1, l2=1e-4, momentum=0.9, nesterov=True).l2
    0.0001
    """

    def __init__(self, learning_rate=0.01, l2=0.0, **kwargs):
        check_number("l2", l2, 0)
        if kwargs.get("weight_decay"):
            raise ValueError(
                "`l2` takes the place of `weight_decay`, which would decay the weights twice. "
                f"Received: weight_decay={kwargs['weight_decay']}"
            )
        super().__init__(learning_rate, **kwargs)
        self.l2 = float(l2)

    def update_step(self, gradient, variable, learning_rate):
        if self.l2 and len(variable.shape) > 1:
            penalty = ops.multiply(ops.cast(self.l2, variable.dtype), variable)
            gradient = ops.add(ops.cast(gradient, variable.dtype), penalty)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return super().get_config() | {"l2": self.l2}


def warmup_cosine(peak: float, steps: int, warmup_fraction: float = 0.05):
    """Build the learning rate of a run: a straight line up to `peak`, then a half cosine to 0.

    With T = `steps` and W = round(`warmup_fraction` * T), at step t counted from 0:

        t < W:   peak * (1/W + t/W * (1 - 1/W))
        t >= W:  peak * (1 + cos(pi * (t - W) / (T - W))) / 2

    so that the first step already learns, and the last one still does.

    Args:
        peak: float > 0, the highest learning rate.
        steps: int, optimizer steps of the whole run.
        warmup_fraction: float in [0, 1), the part of the steps that warms up; 5 of 90 epochs
            in Goyal et al.

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.

    Raises:
        ValueError: if an argument is out of its range.

    >>> schedule = warmup_cosine(peak=0.4, steps=100, warmup_fraction=0.1)
    >>> [round(float(schedule(step)), 3) for step in (0, 10, 55, 100)]
    [0.04, 0.4, 0.2, 0.0]
    """
    check_positive("peak", peak)
    check_count("steps", steps)
    check_number("warmup_fraction", warmup_fraction, 0, 1)
    warmup_steps = min(round(warmup_fraction * steps), steps - 1)
    if warmup_steps == 0:
        return keras.optimizers.schedules.CosineDecay(float(peak), steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / warmup_steps,
        decay_steps=steps - warmup_steps,
        warmup_target=float(peak),
        warmup_steps=warmup_steps,
    )
