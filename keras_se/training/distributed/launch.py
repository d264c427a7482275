"""Processes of a run are started, watched, and ended together."""

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..settings import FitSettings
from .join import check_address, check_jax, check_rank

MARK = "keras-se worker error: "  # what a worker says last, before the reason
NOISE = r"[IWE]\d{4} |WARNING: All log messages|To enable the following"  # TensorFlow's
GRACE = 5  # seconds between the request to end and the kill


class ProcessDiedError(RuntimeError):
    """A process of a run has ended before its time."""


def launch(settings: FitSettings, processes: int) -> None:
    """Train in several processes of this machine, each with one of its GPUs, or all on the CPU.

    The processes are new ones, on Keras' JAX backend, whatever this one runs on; the
    progress of rank 0 is shown. When one ends before its time, the others are stopped within
    seconds.

    Args:
        settings: see `FitSettings`; every network that they can name.
        processes: int >= 2.

    Raises:
        ImportError: if JAX is not installed.
        ProcessDiedError: when a process ends with an error or is killed; names it.
        ValueError: for fewer than 2 processes, or `settings.devices` besides them.
    """
    check_rank(0, processes)
    coordinator = f"127.0.0.1:{_free_port()}"
    _run(settings, coordinator, processes, range(processes), own_device=True)


def launch_one(settings: FitSettings, coordinator: str, rank: int, world: int) -> None:
    """Train in a process of this machine, with all its devices, beside those of others.

    When another process dies, this one ends within a minute.

    Args:
        settings: see `FitSettings`; the same on every machine, but for `data` and `output`.
        coordinator, rank, world: see `join`.

    Raises:
        ImportError, ValueError: as `launch`.
        ProcessDiedError: when this process or another ends before its time; names it.
    """
    check_address(coordinator)
    check_rank(rank, world)
    _run(settings, coordinator, world, [rank], own_device=False)


def _run(settings, coordinator: str, world: int, ranks: Sequence[int], own_device: bool) -> None:
    check_jax()
    if settings.devices != 1:
        raise ValueError(
            "Several processes use all their devices: leave `devices` at 1. "
            f"Received: devices={settings.devices}"
        )
    values = asdict(settings) | {"output": str(settings.output)}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ended: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        workers = {}
        for rank in ranks:
            group = {"coordinator": coordinator, "rank": rank, "world": world}
            group["device"] = rank if own_device else None
            workers[rank] = _start({"group": group, "settings": values}, _log(folder, rank))
            stack.callback(_stop, workers[rank])
            threading.Thread(target=_wait, args=(rank, workers[rank], ended), daemon=True).start()
        for _ in ranks:
            rank, status = ended.get()
            if status:
                said = _log(folder, rank).read_text(errors="replace")  # native code writes bytes
                raise ProcessDiedError(_reason(rank, world, status, said))


def _start(task: dict, log: Path) -> subprocess.Popen:
    quiet = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    shows = task["group"]["rank"] == 0
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,  # stays open: its end tells the worker that this one is gone
            stdout=None if shows else subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | quiet,
            text=True,
        )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
    return process


def _wait(rank: int, process: subprocess.Popen, ended: queue.SimpleQueue) -> None:
    ended.put((rank, process.wait()))


def _stop(process: subprocess.Popen) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reason(rank: int, world: int, status: int, log: str) -> str:
    """Which process died, and why, as far as its last words say."""
    name = f"process {rank} of {world} (ranks from 0)"
    last = log.rpartition(MARK)
    if last[1]:
        return f"{name}: {last[2].strip()}"
    dead = _dead_ranks(log)
    if dead:
        return (
            f"{dead} of {world} (ranks from 0) is gone, so process {rank} has ended. The same "
            "commands go on from the last checkpoint"
        )
    by = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    said = [line.strip() for line in log.splitlines() if not re.match(NOISE, line)]
    tail = " / ".join(said[-3:])
    return f"{name} {by}; the others end too. The same command resumes from the last checkpoint" + (
        f". Its last lines: {tail}" if tail else ""
    )


def _dead_ranks(log: str) -> str | None:
    """The processes that JAX's coordination service, in its last words, misses."""
    missed = re.search(r"stopped sending heartbeats\):\s*((?:\S*?\d+\s*,?\s*)+)", log)
    if missed:
        ranks = re.findall(r"(?:task:)?(\d+)\s*(?:,|$)", missed[1].strip())
        return f"process {', '.join(ranks)}"
    if "Failed to send RPC to coordination service" in log:
        return "process 0, the coordinator,"
    return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _log(folder: str, rank: int) -> Path:
    return Path(folder, f"{rank}.log")
