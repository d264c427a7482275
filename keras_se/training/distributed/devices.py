"""Several devices of one machine: TensorFlow's MirroredStrategy, Keras' DataParallel on JAX."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def on_devices(count: int) -> Iterator[int]:
    """Build and train what is built within on so many devices at once.

    Where the caller has entered a strategy or set a distribution already, that one stays.

    Args:
        count: of the GPUs, or without GPUs of the CPU devices; 1 distributes nothing, 0
            takes all.

    Yields:
        How many devices share a batch, those of other processes included.

    Raises:
        RuntimeError: within a MultiWorkerMirroredStrategy, which fails in Keras 3's fit
            ("unsupported type PerReplica").
        ValueError: for more devices than there are; for several on another backend than
            TensorFlow and JAX; for `count` besides a strategy of the caller.
    """
    backend = keras.backend.backend()
    if backend not in ENGINES:
        if count > 1:
            raise ValueError(
                "Several devices train on the backends TensorFlow and JAX. "
                f"Received: devices={count} on {backend!r}"
            )
        yield 1
        return
    sharing, names, scope = ENGINES[backend]
    if sharing() > 1:
        if count != 1:
            raise ValueError(
                f"A batch is shared by {sharing()} devices already, by a strategy or by several "
                f"processes: leave `devices` at 1. Received: devices={count}"
            )
        yield sharing()
        return
    chosen = _choose(names(), count) if count != 1 else []
    with scope(chosen) if len(chosen) > 1 else contextlib.nullcontext():
        yield max(1, len(chosen))


def _choose(names: list[str], count: int) -> list[str]:
    if count > len(names):
        raise ValueError(f"There are {len(names)} devices: {names}. Received: devices={count}")
    return names[: count or len(names)]


def _sharing_tensorflow() -> int:
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        raise RuntimeError(
            "MultiWorkerMirroredStrategy does not work with Keras 3. Several machines train on "
            "the JAX backend: keras-se train --coordinator HOST:PORT --rank R --world N, or "
            "keras_se.training.distributed.join, which uses keras.distribution.DataParallel"
        )
    return strategy.num_replicas_in_sync


def _names_tensorflow() -> list[str]:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


def _scope_tensorflow(names: list[str]):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names).scope()


def _sharing_jax() -> int:
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def _scope_jax(names: list[str]):
    return keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope()


# Backend -> (devices that share a batch now, names of all devices, names -> scope).
ENGINES = {
    "tensorflow": (_sharing_tensorflow, _names_tensorflow, _scope_tensorflow),
    "jax": (_sharing_jax, keras.distribution.list_devices, _scope_jax),
}
