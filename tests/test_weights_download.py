"""Downloads, from a server of the test's own that can fail in every way."""

import concurrent.futures
import hashlib
import http.client
import http.server
import multiprocessing
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from keras_se.applications.weights import DownloadError, cache_directory, download
from keras_se.applications.weights.table import WEIGHTS

ROW = WEIGHTS["seresnet50.ra2_in1k"]
FILE = safetensors.numpy.save({"w": np.arange(200_000, dtype="f4")})
module = sys.modules[download.__module__]
transfer = sys.modules[module.Part.__module__]


@dataclass
class Behaviour:
    """What the server does; `faults` are done first, one for each request."""

    file: bytes = FILE
    faults: list = field(default_factory=list)  # a status, or after how many bytes to hang up
    digest: str | None = None  # X-Linked-Etag
    etag: str | None = '"v1"'
    ranges: bool = True
    content_range: str = "bytes {start}-{last}/{total}"
    redirect: bool = False
    pause_s: float = 0.0  # between pieces
    requests: list = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        it = self.server.behaviour
        if it.redirect and not self.path.startswith("/cdn"):
            first = not self.path.startswith("/hop")
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", f"{'/hop' if first else '/cdn'}{self.path}")
            if it.digest and first:
                self.send_header("X-Linked-Etag", f'"{it.digest}"')
            self.end_headers()
            return
        it.requests.append((self.path, self.headers["Range"]))
        fault = it.faults.pop(0) if it.faults else None
        if isinstance(fault, HTTPStatus):
            self.send_error(fault)
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if asked and it.ranges and self.headers["If-Range"] == it.etag:
            start = int(asked[1])
        if start >= len(it.file):
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        if start and it.content_range:
            numbers = {"start": start, "last": len(it.file) - 1, "total": len(it.file)}
            self.send_header("Content-Range", it.content_range.format(**numbers))
        self.send_header("Content-Length", str(len(it.file) - start))
        if it.etag:
            self.send_header("ETag", it.etag)
        if it.digest and not it.redirect:
            self.send_header("X-Linked-Etag", f'"{it.digest}"')
        self.end_headers()
        body = it.file[start : None if fault is None else start + fault]
        for piece in range(0, len(body), 100_000):
            self.wfile.write(body[piece : piece + 100_000])
            threading.Event().wait(it.pause_s)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, address):
        """A client that went away is part of the test."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    with Server(("127.0.0.1", 0), Handler) as server:
        server.behaviour = Behaviour()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(module, "PAUSE_S", 0.001)
        yield server.behaviour
        server.shutdown()
        thread.join()


def cached():
    """The names in the cache, locks aside."""
    folder = cache_directory()
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


def test_a_file_comes_once(server, capfd):
    path = download(ROW)
    assert path.read_bytes() == FILE
    assert download(ROW) == path
    assert server.requests == [(urllib.parse.urlsplit(ROW.url).path, None)]
    assert cached() == [ROW.filename]
    assert capfd.readouterr() == ("", "")


def test_interrupted_midway_it_goes_on_where_it_was(server):
    server.faults = [300_000, 200_000]
    assert download(ROW).read_bytes() == FILE
    assert [r for _, r in server.requests] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_goes_on_where_an_earlier_one_was(server, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.faults = [300_000]
    with pytest.raises(DownloadError, match="300000 of"):
        download(ROW)
    assert cached() == [f"{ROW.filename}.part", f"{ROW.filename}.part.etag"]
    download(ROW)
    assert server.requests[1][1] == "bytes=300000-"
    assert cached() == [ROW.filename]


@pytest.mark.parametrize("change", [{"ranges": False}, {"etag": None}, {"etag": 'W/"v1"'}])
def test_it_starts_anew_where_the_server_cannot_go_on(server, change):
    for name, value in change.items():
        setattr(server, name, value)
    server.faults = [300_000]
    assert download(ROW).read_bytes() == FILE


def test_another_file_on_the_server_is_not_appended(server, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.file, server.faults = b"x" * len(FILE), [300_000]
    with pytest.raises(DownloadError):
        download(ROW)
    server.file, server.etag = FILE, '"v2"'
    assert download(ROW).read_bytes() == FILE


@pytest.mark.parametrize("sent", ["bytes 0-{last}/{total}", ""])
def test_another_range_than_was_asked_for_is_not_appended(server, monkeypatch, sent):
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    server.content_range, server.faults = sent, [300_000]
    with pytest.raises(DownloadError, match="sent another range"):
        download(ROW)
    assert cached() == []


def test_old_bytes_never_stand_under_a_new_etag(server, monkeypatch):
    """Whoever was killed between the two would go on with the wrong file."""
    folder = cache_directory()
    folder.mkdir()
    part = folder / f"{ROW.filename}.part"
    part.write_bytes(b"x" * 300_000)
    part.with_name(f"{part.name}.etag").write_text('"v0"')
    seen, note = [], module.Part._note_etag

    def noted(self, headers):
        seen.append(part.stat().st_size)
        note(self, headers)

    monkeypatch.setattr(module.Part, "_note_etag", noted)
    assert download(ROW).read_bytes() == FILE
    assert seen == [0]


def test_the_bytes_are_on_the_disk_before_the_name(server, monkeypatch):
    synced, fsync = [], os.fsync

    def noted(file):
        synced.append(cached())
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    download(ROW)
    assert synced == [[f"{ROW.filename}.part", f"{ROW.filename}.part.etag"]]


def test_a_whole_part_that_was_not_moved(server):
    folder = cache_directory()
    folder.mkdir()
    (folder / f"{ROW.filename}.part").write_bytes(FILE)
    (folder / f"{ROW.filename}.part.etag").write_text('"v1"')
    assert download(ROW).read_bytes() == FILE


@pytest.mark.parametrize("status", [HTTPStatus(code) for code in (408, 429, 500, 503)])
def test_passing_faults_are_tried_again(server, status):
    server.faults = [status, 0, status]
    assert download(ROW).read_bytes() == FILE
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED])
def test_other_faults_are_final_and_say_what_to_do(server, status):
    server.faults = [status]
    with pytest.raises(DownloadError) as error:
        download(ROW)
    for part in (str(int(status)), ROW.url, str(cache_directory() / ROW.filename)):
        assert part in str(error.value)
    assert len(server.requests) == 1 and cached() == []


def test_it_gives_up_after_a_while(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    server.faults = [HTTPStatus.BAD_GATEWAY] * 100
    with pytest.raises(DownloadError, match="5 attempts"):
        download(ROW)
    assert len(server.requests) == 5
    assert pauses == [0.001, 0.002, 0.004, 0.008]


@pytest.mark.parametrize(
    "error", [ssl.SSLError("gone"), http.client.IncompleteRead(b""), ConnectionResetError("gone")]
)
def test_a_connection_that_breaks_is_tried_again(server, monkeypatch, error):
    errors, shown = [error], transfer._shown

    def broken(chunks, *arguments):
        yield next(chunks)
        if errors:
            raise errors.pop()
        yield from shown(chunks, *arguments)

    monkeypatch.setattr(transfer, "_shown", broken)
    assert download(ROW).read_bytes() == FILE
    assert len(server.requests) == 2


def test_a_server_that_says_nothing(server, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.1)
    server.pause_s, server.faults = 0.4, []
    with pytest.raises(DownloadError, match="timed out"):
        download(ROW)


def test_a_slow_server(server):
    server.pause_s = 0.02
    assert download(ROW).read_bytes() == FILE


@pytest.mark.parametrize("redirect", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_the_digest_that_hugging_face_names(server, redirect, right):
    server.digest = hashlib.sha256(FILE if right else b"other").hexdigest()
    server.redirect = redirect
    if right:
        assert download(ROW).read_bytes() == FILE
    else:
        with pytest.raises(DownloadError, match=server.digest):
            download(ROW)
        assert cached() == [] and len(server.requests) == 2


def test_an_etag_that_is_no_digest(server):
    server.digest = "ab" * 20  # Git's, of a small file
    assert download(ROW).read_bytes() == FILE


@pytest.mark.parametrize("file", [FILE[:-4], FILE + b"more", b"<html>sorry</html>"])
def test_what_is_no_whole_safetensors_file(server, file):
    server.file = file
    with pytest.raises(DownloadError, match="safetensors"):
        download(ROW)
    assert cached() == []


@pytest.fixture
def release(server, monkeypatch):
    """A row of a GitHub release whose file the server has."""
    monkeypatch.setenv("KERAS_SE_WEIGHTS_MIRROR", os.environ["HF_ENDPOINT"] + "/mirror/")
    digest = hashlib.sha256(FILE).hexdigest()
    row = WEIGHTS["legacy_seresnet18.in1k"]
    return type(row)(row.name, 70.0, 224, 0.875, "bicubic", "", f"v0.1/net-{digest[:8]}.pth")


def test_the_digest_in_a_files_name(server, release):
    assert download(release).read_bytes() == FILE
    ((path, _),) = server.requests
    assert path == f"/mirror/rwightman/pytorch-image-models/releases/download/{release.release}"


def test_a_wrong_digest_never_gets_into_the_cache(server, release):
    server.file = FILE[:-1] + b"x"
    with pytest.raises(DownloadError, match=f"{release.sha256} was published"):
        download(release)
    assert cached() == []


def test_a_wrong_file_put_there_by_hand_is_refused(server, release):
    cache_directory().mkdir()
    (cache_directory() / release.filename).write_bytes(b"other")
    with pytest.raises(DownloadError, match=f"{release.sha256} was published"):
        download(release)
    assert server.requests == []


def test_one_bad_transfer_is_tried_again(server, release, monkeypatch):
    original, changes = module.Part.receive, [b"x"]

    def receive(self, *arguments):
        result = original(self, *arguments)
        if changes:
            self.path.write_bytes(changes.pop())
        return result

    monkeypatch.setattr(module.Part, "receive", receive)
    assert download(release).read_bytes() == FILE


def test_a_wrong_file_at_the_last_attempt_is_the_reason(server, release, monkeypatch):
    original, attempts = module.Part.receive, []

    def receive(self, *arguments):
        attempts.append(arguments)
        if len(attempts) < module.ATTEMPTS:
            raise ConnectionError("gone")
        result = original(self, *arguments)
        self.path.write_bytes(b"x")
        return result

    monkeypatch.setattr(module.Part, "receive", receive)
    with pytest.raises(DownloadError, match=f"{release.sha256} was published"):
        download(release)
    assert len(attempts) == module.ATTEMPTS and cached() == []


@pytest.mark.parametrize("value", ["1", "ON", "yes", "True"])
def test_offline(server, monkeypatch, value):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        download(ROW)
    assert server.requests == []
    cache_directory().mkdir()
    (cache_directory() / ROW.filename).write_bytes(FILE)
    assert download(ROW).read_bytes() == FILE


def test_without_a_network(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="Connection refused"):
        download(ROW)


def test_each_mirror_stands_for_its_own_hosts(monkeypatch):
    monkeypatch.delenv("KERAS_SE_WEIGHTS_MIRROR", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror/hf/")
    assert module.mirrored("https://huggingface.co/timm/a") == "https://mirror/hf/timm/a"
    for other in ("https://github.com/a", "https://huggingface.com/a"):
        assert module.mirrored(other) == other


def test_the_cache_is_in_the_folder_of_keras(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert cache_directory() == Path("/home/anna/.keras/keras_se")


def test_a_mirror_must_be_http(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(ValueError, match="file:///etc"):
        download(ROW)


def test_a_progress_bar_on_a_terminal_only(server, monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    download(ROW)
    out, err = capfd.readouterr()
    assert out == "" and ROW.name in err


def test_several_at_once_fetch_it_once(server):
    server.pause_s = 0.02
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(download, [ROW] * 4))
    assert {path.read_bytes() for path in paths} == {FILE}
    assert len(server.requests) == 1


def test_of_two_processes_one_waits_and_goes_on_when_the_other_is_killed(server):
    server.pause_s = 0.5
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=download, args=(ROW,), daemon=True)
    process.start()
    part = cache_directory() / f"{ROW.filename}.part"
    deadline = time.monotonic() + 400  # the process imports Keras, which takes long under load
    while not (part.is_file() and part.stat().st_size):
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    killer = threading.Timer(0.2, process.kill)
    killer.start()
    assert download(ROW).read_bytes() == FILE
    process.join()
    assert process.exitcode < 0 and killer.finished.is_set()
    first, second = (asked for _, asked in server.requests)
    assert first is None and second.startswith("bytes=") and cached() == [ROW.filename]
