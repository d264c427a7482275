"""New values for variables, in one process or in several."""

import functools

import keras
import numpy as np


def assign(variable: keras.Variable, value) -> None:
    """Give a variable a value, which is the same in all processes.

    Among several processes Keras' own `assign` would compare the values of all of them over
    the network, and on a CPU leave JAX with memory of NumPy's, which a training step then
    gives away. Here every process puts its own copy in place.
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
