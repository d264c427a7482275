"""Published files into the cache: resumed, retried, checked, and moved there at once.

Environment variables:
    KERAS_HOME: Keras' folder; default ~/.keras. The cache is its sub-folder keras_se.
    HF_HUB_OFFLINE: 1 refuses every download.
    HF_ENDPOINT: stands in for https://huggingface.co.
    KERAS_SE_WEIGHTS_MIRROR: stands in for https://huggingface.co and https://github.com.
"""

import hashlib
import os
import time
import urllib.error
from http import HTTPStatus
from pathlib import Path

import safetensors

from ...locks import held
from .table import GITHUB, HUGGING_FACE, Weights
from .transfer import NETWORK_ERRORS, Part

ATTEMPTS = 5
PAUSE_S = 1.0  # before the second attempt; doubled before each further one
RETRIED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)  # and 500 to 599


class DownloadError(OSError):
    """A published file could not be had; the message says how to get it by hand."""


def cache_directory() -> Path:
    """Where downloads are kept: keras_se in Keras' own folder."""
    return keras_directory() / "keras_se"


def keras_directory() -> Path:
    """Keras' own folder."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def download(weights: Weights) -> Path:
    """The local file of a published checkpoint, fetched if it is not there yet.

    A file in the cache is used without a network. A new one comes in as NAME.part, which
    a later call continues, and is moved to its name once it is whole and its SHA-256 is
    what was published. Of several processes one fetches and the others wait.

    Raises:
        DownloadError: if it cannot be fetched, or is not what was published.
    """
    target = cache_directory() / weights.filename
    if target.is_file():
        _check_digest(target, weights.sha256, weights)
        return target
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise _failure(weights, "HF_HUB_OFFLINE is set, and it is not in the cache")
    target.parent.mkdir(parents=True, exist_ok=True)
    with held(target.with_name(f"{target.name}.lock"), wait=True):
        if not target.is_file():  # another process may have fetched it meanwhile
            _fetch(weights, target)
    return target


def mirrored(url: str) -> str:
    """The address to ask, with the mirrors of the environment."""
    mirrors = {HUGGING_FACE: os.environ.get("HF_ENDPOINT")}
    if mirror := os.environ.get("KERAS_SE_WEIGHTS_MIRROR"):
        mirrors = {HUGGING_FACE: mirror, GITHUB: mirror}
    for host, mirror in mirrors.items():
        if mirror and url.startswith(f"{host}/"):
            url = mirror.rstrip("/") + url.removeprefix(host)
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"A mirror must start with http:// or https://. Received: {url!r}")
    return url


def _fetch(weights: Weights, target: Path):
    part = Part(target.with_name(f"{target.name}.part"))
    reason: Exception | None = None
    wrong = False
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            their_digest = part.receive(mirrored(weights.url), weights.name)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.remove()
            elif error.code < 500 and error.code not in RETRIED:
                raise _failure(
                    weights, f"{error.url} answers {error.code} {error.reason}"
                ) from error
            reason = error
            continue
        except NETWORK_ERRORS as error:
            reason = error
            continue
        try:
            _check_digest(part.path, weights.sha256, weights)
            _check_digest(part.path, their_digest, weights)
            _check_header(part.path, weights)
        except DownloadError:
            part.remove()
            if wrong or attempt == ATTEMPTS - 1:  # twice: it is the file, not the transfer
                raise
            wrong = True
            continue
        part.move(target)
        return
    raise _failure(weights, f"{ATTEMPTS} attempts failed, the last one with: {reason}") from reason


def _check_digest(path: Path, expected: str, weights: Weights):
    if not expected:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise _failure(
            weights, f"{path} has the SHA-256 {digest}; {expected} was published. Remove it"
        )


def _check_header(path: Path, weights: Weights):
    """A safetensors header fits its file's size; PyTorch's files have a published digest."""
    if weights.filename.endswith(".safetensors"):
        try:
            with safetensors.safe_open(path, framework="np"):
                pass
        except safetensors.SafetensorError as error:
            raise _failure(weights, f"what came is no whole safetensors file ({error})") from error


def _failure(weights: Weights, reason) -> DownloadError:
    return DownloadError(
        f"The weights {weights.name} are not at hand: {reason}. Fetch {weights.url} by hand, on "
        f"any machine, and save it as {cache_directory() / weights.filename}; or set "
        "KERAS_SE_WEIGHTS_MIRROR, which stands in for the host; or pass weights=None for random "
        "weights."
    )
