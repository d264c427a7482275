"""One process joins the others of a run."""

import contextlib
import importlib.util
import os
import sys

import keras

from .group import Group

# Seconds without a sign of life after which JAX calls a process dead and ends the others;
# they hear of it after up to twice that.
HEARTBEAT = 15
# Seconds that a process waits for the others at its end. `fit` ends on all of them together.
SHUTDOWN = 30


def join(coordinator: str, rank: int, world: int, device: int | None = None) -> Group:
    """Join the other processes of a run; then `fit` trains with all of them together.

    Call it first, before a layer is built or JAX computes anything. All devices of all
    processes become one `keras.distribution.DataParallel`, in which a batch is one batch:
    gradients, BatchNorm's statistics and metrics are those of all its pictures, wherever
    they are computed.

    Where `keras.distribution.initialize` would wait 100 seconds for a process that is dead,
    this waits half a minute at most; hence JAX's own call.

    Args:
        coordinator: "HOST:PORT", where rank 0 listens and all others find it.
        rank: int in [0, world), another one for every process.
        world: int >= 2, the number of processes.
        device: the only local GPU that this process uses; None uses all.

    Returns:
        The `Group`.

    Raises:
        ImportError: if JAX is not installed.
        RuntimeError: if Keras does not run on JAX; if a process does not come within five
            minutes; if JAX has computed something before.
        ValueError: for an address without a port, or a rank that is none.
    """
    check_address(coordinator)
    check_rank(rank, world)
    check_jax()
    if keras.backend.backend() != "jax":
        raise RuntimeError(
            "Several processes train on the JAX backend: set KERAS_BACKEND=jax before Keras is "
            f"imported. Received: a process with the backend {keras.backend.backend()!r}"
        )
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM for a notice to be asked about, and the process would run on.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        coordinator,
        world,
        rank,
        local_device_ids=device,
        heartbeat_timeout_seconds=HEARTBEAT,
        shutdown_timeout_seconds=SHUTDOWN,
    )
    # `fit` gives every process its part of a batch itself.
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    group = Group(rank, world)
    with _silent_stdout():  # Gloo writes a line to it at the first exchange
        counts = group.gather(jax.local_device_count())
    if len(set(counts)) > 1:
        raise RuntimeError(
            "Every process must have the same number of devices. Received, by rank: "
            f"{counts}, on {jax.default_backend()} here"
        )
    return group


def check_jax() -> None:
    """Raise ImportError unless JAX is installed."""
    if importlib.util.find_spec("jax") is None:
        raise ImportError(
            'Training in several processes needs JAX: pip install "keras-se[jax]", or for '
            'NVIDIA GPUs pip install "keras-se[jax]" "jax[cuda13]"'
        )


def check_address(coordinator: str) -> None:
    """Raise ValueError unless this is HOST:PORT."""
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"The coordinator must be HOST:PORT, that of rank 0. Received: {coordinator!r}"
        )


def check_rank(rank: int, world: int) -> None:
    """Raise ValueError unless there can be such a process."""
    if not (world >= 2 and 0 <= rank < world):
        raise ValueError(
            "There must be at least 2 processes (world), with ranks from 0 on. "
            f"Received: rank={rank}, world={world}"
        )


@contextlib.contextmanager
def _silent_stdout():
    """Hold back what native code writes to stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
