"""Training on several devices and in several processes: equal weights, and a clean end."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_se.cli import main
from keras_se.layers import BatchNorm, ResidualTail, SqueezeExcite
from keras_se.training import FitSettings, sources
from keras_se.training.distributed import Group, join, launch, launch_one
from keras_se.training.distributed.launch import _dead_ranks, _free_port
from keras_se.training.run.resolve import resolve
from keras_se.training.run.state import load_record

PROGRAM = Path(__file__).with_name("distributed_fit.py")
ROOT = Path(__file__).parents[1]
TF = ["tensorflow alone", "tensorflow devices"]
JAX = ["jax alone", "jax devices", "jax rank 0", "jax rank 1"]
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed: make test-backends"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three classes in their own colour; the last validation batch is a single picture."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 26), ("val", 9)):
        labels = np.arange(count) % 3
        pictures = rng.integers(0, 175, (count, 16, 16, 3), dtype=np.uint8)
        pictures[np.arange(count), :, :, labels] += 80
        arrays |= {f"x_{part}": pictures, f"y_{part}": labels}
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Path of a small network with everything that could depend on the devices, by backend."""
    folder = tmp_path_factory.mktemp("networks")
    for backend in ("tensorflow", "jax"):
        keras.utils.set_random_seed(1)
        inputs = keras.Input((16, 16, 3))
        x = layers.ReLU()(BatchNorm()(layers.Conv2D(8, 3, strides=2)(inputs)))
        x = ResidualTail(SqueezeExcite(ratio=4))([layers.Conv2D(8, 1)(x), x])
        x = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(x))
        if backend == "jax":  # on TensorFlow every device draws its own masks
            x = layers.Dropout(0.3, seed=2)(x)
        outputs = layers.Dense(3, activation="softmax")(x)
        keras.Model(inputs, outputs).save(folder / f"{backend}.keras")
    return folder


def settings(data, networks, output, backend="jax", **values):
    return {
        "data": str(data),
        "output": str(output),
        "model": str(networks / f"{backend}.keras"),
        "epochs": 2,
        "batch_size": 8,
        "ema": 0.9,
        "clip_norm": 1.0,
        "checkpoint_steps": 2,
    } | values


def environment(backend):
    here = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return os.environ | here | {"PYTHONPATH": str(ROOT)}


def train(names, data, networks, folder):
    """Run PROGRAM for all names at once; what each one saved."""
    address, running = f"127.0.0.1:{_free_port()}", {}
    for name in names:
        backend, place, *rank = name.split()
        own = folder / name.replace(" ", "-")
        output = folder / "ranks" if rank else own
        own.mkdir()
        values = {} if backend == "jax" else {"clip_norm": 0.0}
        values = settings(data, networks, output, backend, **values)
        (own / "in.json").write_text(json.dumps(values))
        command = [sys.executable, PROGRAM, place, own / "in.json", own / "out.npz"]
        if rank:
            group = {"coordinator": address, "rank": int(rank[0]), "world": 2}
            (own / "join.json").write_text(json.dumps(group))
            command.append(own / "join.json")
        flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
        running[name] = subprocess.Popen(
            command,
            env=environment(backend) | (flags if place == "devices" else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    for name, process in running.items():
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 0, f"{name}: {said[-3000:]}"
    return {name: dict(np.load(folder / name.replace(" ", "-") / "out.npz")) for name in names}


def close(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], **tolerance, err_msg=name)


@pytest.mark.slow
@needs_jax
def test_jax_on_two_devices_and_in_two_processes_trains_as_on_one(data, networks, tmp_path):
    trained = train(JAX, data, networks, tmp_path)
    close(trained["jax rank 0"], trained["jax rank 1"], rtol=0)
    for name in ("jax devices", "jax rank 0"):
        close(trained[name], trained["jax alone"], rtol=1e-5, atol=1e-5)
    written = json.loads((tmp_path / "ranks" / "results.json").read_text())
    alone = json.loads((tmp_path / "jax-alone" / "results.json").read_text())
    for name in ("accuracy", "pictures", "confusion", "steps"):
        assert written[name] == alone[name], name
    saved = keras.saving.load_model(tmp_path / "ranks" / "last.keras")
    for weight in saved.weights:
        expected = trained["jax rank 0"][weight.path]
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected)


@pytest.mark.slow
def test_tensorflow_on_two_devices_trains_as_on_one(data, networks, tmp_path):
    trained = train(TF, data, networks, tmp_path)
    close(*trained.values(), rtol=1e-5, atol=1e-5)


def command(data, networks, output, *further):
    """A run of `keras-se train` that would take minutes, with the arguments of `settings`."""
    line = [sys.executable, "-m", "keras_se", "train", *further]
    for name, value in settings(data, networks, output, epochs=150).items():
        line += [f"--{name.replace('_', '-')}", str(value)]
    return line


@pytest.fixture
def start():
    """Start a command, whose workers end with it when the test ends."""
    started = []

    def begin(line):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # What a shell runs in the background ignores Ctrl-C, and so do its children.
        options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        started.append(subprocess.Popen(line, env=environment("tensorflow"), **options))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def steps_done(output):
    return load_record(output / "state.npz").steps if (output / "state.npz").exists() else 0


def workers(parent):
    """The process ids of the workers of a command, by age: rank 0 first."""
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return sorted(int(child) for task in tasks for child in task.read_text().split())


def until(condition, process, seconds=420):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@on_linux
@needs_jax
def test_a_killed_process_ends_the_run_which_then_goes_on(data, networks, tmp_path, start):
    output = tmp_path / "run"
    long = command(data, networks, output, "--processes", "2")
    run = start(long)
    until(lambda: steps_done(output) >= 3, run)
    first, second = workers(run.pid)
    os.kill(second, signal.SIGKILL)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 2
    assert "process 1 of 2 (ranks from 0) was killed by SIGKILL" in errors
    assert len(errors.splitlines()) == 1
    assert not Path(f"/proc/{first}").exists()
    done = steps_done(output)
    again = start(long)
    until(lambda: steps_done(output) > done, again)
    again.send_signal(signal.SIGINT)
    said, errors = again.communicate(timeout=30)
    assert again.returncode == 130
    assert errors.startswith("keras-se: interrupted: saved after epoch ")
    assert errors.endswith("; the same command resumes\n")
    assert "Epoch 1/150" not in said


@pytest.mark.slow
@on_linux
@needs_jax
@pytest.mark.parametrize("to_all", [False, True], ids=["parent", "process group"])
def test_sigterm_stops_all_processes_of_a_run_which_then_goes_on(
    data, networks, tmp_path, start, to_all
):
    """As `kill` sends it, to the command, or as a scheduler does, to its children too."""
    output = tmp_path / "run"
    long = command(data, networks, output, "--processes", "2")
    run = start(long)
    until(lambda: steps_done(output) >= 3, run)
    ranks = workers(run.pid)
    assert len(ranks) == 2
    for pid in (run.pid, *(ranks if to_all else ())):
        os.kill(pid, signal.SIGTERM)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 143
    assert errors.startswith("keras-se: interrupted: saved after epoch ")
    assert len(errors.splitlines()) == 1
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    done = steps_done(output)
    again = start(long)
    until(lambda: steps_done(output) > done, again)


@pytest.mark.slow
@on_linux
@needs_jax
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_on_another_machine_dies(data, networks, tmp_path, victim, start):
    """Two commands that know of each other by the coordinator only."""
    address, runs = f"127.0.0.1:{_free_port()}", []
    for rank in range(2):
        joining = ["--coordinator", address, "--rank", str(rank), "--world", "2"]
        line = command(data, networks, tmp_path / f"run{rank}", *joining)
        runs.append(start(line))
    until(lambda: steps_done(tmp_path / "run0") >= 3, runs[0])
    os.kill(workers(runs[victim].pid)[0], signal.SIGKILL)
    killed = time.monotonic()
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert time.monotonic() - killed < 60
    assert [run.returncode for run in runs] == [2, 2]
    assert "was killed by SIGKILL" in errors[victim]
    assert re.search(rf"process {victim}\b.* of 2 \(ranks from 0\) is gone", errors[1 - victim])
    assert not (tmp_path / "run1").exists()


def test_the_last_words_of_the_coordination_service():
    said = "The following tasks are unhealthy (stopped sending heartbeats):\n{}\nThe tasks"
    assert _dead_ranks(said.format("1")) == "process 1"
    assert _dead_ranks(said.format("1, 3")) == "process 1, 3"
    assert _dead_ranks(said.format("/job:jax_worker/replica:0/task:12")) == "process 12"
    assert (
        _dead_ranks("Failed to send RPC to coordination service") == "process 0, the coordinator,"
    )
    assert _dead_ranks("Killed") is None


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--processes", "0"], "at least 2 processes"),
        (["--rank", "1"], "belong together"),
        (["--coordinator", "h:1", "--rank", "1", "--world", "2", "--processes", "2"], "not with"),
        (["--coordinator", "host", "--rank", "1", "--world", "2"], "HOST:PORT"),
        (["--coordinator", "host:1", "--rank", "2", "--world", "2"], "--rank 2, --world 2"),
        (["--devices", "3"], "devices: ["),
    ],
)
def test_bad_arguments_are_told_in_one_line(data, arguments, message, capfd):
    assert main(["train", "--data", str(data), *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line


def test_without_jax_the_command_to_install_it_is_named(data, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"keras-se\[jax\]"):
        launch(FitSettings(data), 2)


def test_joining_needs_the_jax_backend(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=jax"):
        join("127.0.0.1:4000", 0, 2)


def test_devices_and_processes_exclude_each_other(data, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(ValueError, match="leave `devices` at 1"):
        launch_one(FitSettings(data, devices=2), "127.0.0.1:4000", 0, 2)


def test_a_batch_must_be_a_multiple_of_the_devices(data):
    given = FitSettings(data, batch_size=9, image_size=32)
    training, _ = sources.load_sources(given)
    with pytest.raises(ValueError, match="multiple of 2"):
        resolve(given, training, replicas=2)
    fewer = resolve(FitSettings(data, image_size=32), training, replicas=4)
    assert fewer.batch_size == 24


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("values", [{"jit": "on"}, {"clip_norm": 1.0}])
def test_what_tensorflow_would_compute_otherwise_is_refused(data, values):
    given = FitSettings(data, image_size=32, **values)
    training, _ = sources.load_sources(given)
    resolve(given, training)
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        resolve(given, training, replicas=2)


def test_a_group_of_one_says_what_it_hears(tmp_path):
    assert Group().gather([1]) == [[1]]
    assert Group().file_of_first(tmp_path / "none") is None
    np.testing.assert_array_equal(Group().gather_arrays(np.arange(2)), [[0, 1]])
