"""Whatever interrupts a conversion: the previous file is intact, no other file stays."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import files
from keras_se.tflite import convert, to_onnx

OLD = b"precious"


@pytest.fixture
def target(tmp_path):
    """The file of an earlier conversion, alone in its folder."""
    path = tmp_path / "models" / "model.tflite"
    path.parent.mkdir()
    path.write_bytes(OLD)
    yield path
    assert path.read_bytes() == OLD
    assert os.listdir(path.parent) == [path.name]


@pytest.fixture(scope="module")
def model():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def result(model):
    return convert(model, "float32")


def fail(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["fsync", "replace", "link"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_saving_fails(result, target, monkeypatch, failing, error):
    if failing == "link" and not hasattr(os, "O_TMPFILE"):
        pytest.skip("files get their names at once on this system")

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        result.save(target, overwrite=True)


def test_saving_without_unnamed_files(result, target, monkeypatch, tmp_path):
    """As on macOS, or where the file system has none."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    assert result.save(tmp_path / "new.tflite").read_bytes() == result.model
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        result.save(target, overwrite=True)


def test_the_disk_is_full(tmp_path):
    """A real file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this process may not mount a file system")
    try:
        (disk / "model.tflite").write_bytes(OLD)
        with pytest.raises(OSError, match="No space left"):
            files.write_whole(disk / "model.tflite", bytes(2**21))
        assert (disk / "model.tflite").read_bytes() == OLD
        assert os.listdir(disk) == ["model.tflite"]
        files.write_whole(disk / "model.tflite", bytes(2**18))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_device_in_a_limit_of_the_process(target):
    """A limit on the size of files stops the write half-way."""
    code = f"""
        import resource, signal
        from keras_se.files import write_whole
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        write_whole({str(target)!r}, bytes(2**20))
    """
    process = python(code)
    assert process.wait(60) == 1
    assert "File too large" in process.stderr.read()


def python(code, **options):
    """A process that runs the code without the import of Keras that `keras_se` would do."""
    header = "import sys, types; m = types.ModuleType('keras_se'); m.__path__ = [{!r}]\n"
    header = header.format(str(Path(files.__file__).parent)) + "sys.modules['keras_se'] = m\n"
    return subprocess.Popen(
        [sys.executable, "-c", header + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs unnamed files (Linux)")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_the_bytes_are_written(target, signal_number):
    code = f"""
        import os, sys, time
        from keras_se.files import write_whole
        def stall(descriptor):
            print("written", flush=True)
            time.sleep(60)
        os.fsync = stall
        write_whole({str(target)!r}, bytes(2**20))
    """
    process = python(code)
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal_number)
    assert process.wait(60) == -signal_number


def test_killed_during_the_conversion(model, target, tmp_path):
    """The converter says that it was called, and is killed before it returns."""
    model.save(tmp_path / "model.keras")
    code = """
        import sys, time
        import tensorflow as tf
        from keras_se import cli
        def stall(converter):
            open(sys.argv[1], "w").close()
            time.sleep(60)
        tf.lite.TFLiteConverter.convert = stall
        sys.exit(cli.main(sys.argv[2:]))
    """
    called = tmp_path / "called"
    arguments = [called, "convert", tmp_path / "model.keras", "-o", target, "--overwrite"]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments), "--recipe", "float32"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not called.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL


def test_a_read_only_folder(result, model, target, monkeypatch):
    """Root may write everywhere, so the system call is made to refuse."""
    original = os.open

    def refuse(path, *args, **kwargs):
        if str(path).startswith(str(target.parent)):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        result.save(target, overwrite=True)
    pytest.importorskip("tf2onnx")
    with pytest.raises(PermissionError):
        to_onnx(model, target, overwrite=True)


def test_a_folder_that_the_system_keeps_read_only(result):
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc")
    with pytest.raises(OSError, match="/proc"):
        result.save("/proc/model.tflite")


def test_calibration_raises_midway(model, target):
    import tensorflow as tf

    def images():
        for _ in range(3):
            yield np.zeros((8, 8, 3), "float32")
        raise RuntimeError("the third picture is broken")

    dataset = tf.data.Dataset.from_generator(
        images, output_signature=tf.TensorSpec((8, 8, 3), tf.float32)
    )
    with pytest.raises(tf.errors.OpError, match="the third picture is broken"):
        convert(model, "static_int8", dataset).save(target, overwrite=True)


def test_a_new_file_may_be_read_by_whom_the_umask_allows(result, tmp_path):
    before = os.umask(0o027)
    try:
        assert result.save(tmp_path / "m.tflite").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
