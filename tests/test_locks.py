"""A lock ends with the process that holds it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from keras_se import locks
from keras_se.locks import held

HOLD = """
import runpy, sys
held = runpy.run_path(sys.argv[1])["held"]  # without Keras
with held(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds a file until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, locks.__file__, str(tmp_path / "lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_another_process_is_named_and_refused(holder, tmp_path):
    with pytest.raises(BlockingIOError, match=f"process {holder.pid} on "), held(tmp_path / "lock"):
        pytest.fail("it was held twice")
    holder.stdin.close()
    assert holder.wait() == 0
    with held(tmp_path / "lock"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with held(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not list(tmp_path.iterdir())


def test_waiting(holder, tmp_path):
    threading.Timer(0.5, holder.stdin.close).start()
    with held(tmp_path / "lock", wait=True):
        assert holder.wait(5) == 0


def test_one_holder_at_a_time_while_the_file_comes_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_se.locks.LOOK_EVERY", 0.0001)
    inside, most = [], []

    def take():
        for _ in range(200):
            with held(tmp_path / "lock", wait=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 800


def test_without_locks_nothing_is_held(tmp_path, monkeypatch):
    def unsupported(descriptor):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("keras_se.locks._lock", unsupported)
    with held(tmp_path / "lock"), held(tmp_path / "lock"), held(tmp_path / "no folder" / "lock"):
        pass
