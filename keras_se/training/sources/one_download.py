"""A data set is downloaded by one process at a time: several of one run begin with the same."""

import contextlib
import re
from collections.abc import Iterator

from ...applications.weights.download import cache_directory
from ...locks import held


@contextlib.contextmanager
def one_download(name: str) -> Iterator[None]:
    """Wait until no other process of this machine is within, with the same name."""
    folder = cache_directory()
    with contextlib.suppress(OSError):  # then there is no cache either, and nothing to hold
        folder.mkdir(parents=True, exist_ok=True)
    file = re.sub(r"[^\w.-]", "-", name)
    with held(folder / f"{file}.lock", wait=True):
        yield
