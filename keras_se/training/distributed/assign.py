"""Variables of several processes: new values, and what concerns one process alone."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import numpy as np


def assign(variable: keras.Variable, value) -> None:
    """Give a variable a value, which is the same in all processes.

    Among several processes Keras' own `assign` would compare the values of all of them over
    the network, one variable after another. Here every process puts its own copy in place.
    """
    if keras.backend.backend() == "jax":
        sharding = variable.value.sharding
        if not sharding.is_fully_addressable:
            value = _copy(sharding)(np.asarray(value, variable.dtype))
    variable.assign(value)


@functools.cache
def _copy(sharding):
    import jax

    return jax.jit(jax.numpy.copy, out_shardings=sharding)


@contextlib.contextmanager
def undistributed() -> Iterator[None]:
    """What Keras makes within belongs to this process alone; no other has to take part.

    `model.save` is such a case: it makes a variable, for which it would wait for the others.
    """
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)
