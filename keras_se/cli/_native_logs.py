"""What TensorFlow and LiteRT write to the terminal on their own."""

import contextlib
import faulthandler
import logging
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Hold back what native libraries write to stderr; `sys.stderr` still writes there.

    TensorFlow 2.21 writes lines before it reads TF_CPP_MIN_LOG_LEVEL, and LiteRT has no such
    setting, so the file descriptor itself is turned away from them. Errors are exceptions
    and not lost; a crash in native code still says in which Python line it happened.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    before = sys.stderr
    before.flush()
    terminal = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = terminal
    if not faulthandler.is_enabled():
        faulthandler.enable(terminal)
    try:
        yield
    finally:
        terminal.flush()
        os.dup2(terminal.fileno(), 2)
        sys.stderr = before
        # `terminal` stays open: faulthandler and the logging module may hold it.
