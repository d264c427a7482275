"""One file over HTTP: received in parts that a later attempt continues."""

import http.client
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import rich.console
import rich.progress

TIMEOUT_S = 30.0  # without a byte
CHUNK_BYTES = 2**20
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


class Part:
    """The part of a file that has come in so far, and the ETag of the whole."""

    def __init__(self, path: Path):
        self.path = path
        self.etag = path.with_name(f"{path.name}.etag")

    def receive(self, url: str, name: str) -> str:
        """Fetch what is missing; return the SHA-256 that the server names, or ""."""
        request = urllib.request.Request(url)
        if resumable := self.path.is_file() and self.etag.is_file():
            request.add_header("Range", f"bytes={self.path.stat().st_size}-")
            request.add_header("If-Range", self.etag.read_text())
        redirects = _Redirects()
        with urllib.request.build_opener(redirects).open(request, timeout=TIMEOUT_S) as response:
            resumed = resumable and response.status == HTTPStatus.PARTIAL_CONTENT
            start = self.path.stat().st_size if resumed else 0
            sent = response.headers["Content-Range"] or ""
            if resumed and not sent.startswith(f"bytes {start}-"):
                self.remove()
                raise ConnectionError("the server sent another range than was asked for")
            length = response.headers["Content-Length"]
            total = start + int(length) if length else None
            with self.path.open("ab" if resumed else "wb") as file:
                self._note_etag(response.headers)  # now that nothing of another file is there
                for chunk in _shown(
                    iter(lambda: response.read1(CHUNK_BYTES), b""), name, start, total
                ):
                    file.write(chunk)
        size = self.path.stat().st_size
        if total not in (None, size):
            raise ConnectionError(f"the connection ended after {size} of {total} bytes")
        return _linked_digest(redirects.linked or response.headers)

    def _note_etag(self, headers):
        etag = headers["ETag"] or ""
        if etag and not etag.startswith("W/"):  # a weak one promises too little to continue
            self.etag.write_text(etag)
        else:
            self.etag.unlink(missing_ok=True)

    def move(self, target: Path):
        with self.path.open("rb+") as file:
            os.fsync(file)  # or a power cut may leave the new name with nothing in it
        self.path.replace(target)
        self.etag.unlink(missing_ok=True)

    def remove(self):
        self.path.unlink(missing_ok=True)
        self.etag.unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Keeps the headers of Hugging Face's answer, which redirects to where the bytes are."""

    linked = None

    def redirect_request(self, request, file, code, message, headers, url):
        if headers["X-Linked-Etag"]:
            self.linked = headers
        return super().redirect_request(request, file, code, message, headers, url)


def _linked_digest(headers) -> str:
    """Hugging Face's X-Linked-Etag, which is the SHA-256 of a large file; "" without one."""
    match = re.fullmatch(r'"?([0-9a-f]{64})"?', headers["X-Linked-Etag"] or "")
    return match[1] if match else ""


def _shown(chunks: Iterator[bytes], name: str, start: int, total: int | None) -> Iterator[bytes]:
    """The same chunks, with a progress bar if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield from chunks
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=rich.console.Console(stderr=True)) as progress:
        task = progress.add_task(name, completed=start, total=total)
        for chunk in chunks:
            yield chunk
            progress.advance(task, len(chunk))
