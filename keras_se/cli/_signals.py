"""What asks a long command to end."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

AGAIN_SECONDS = 0.05


class Terminated(KeyboardInterrupt):
    """The process got SIGTERM, as from a scheduler or at shutdown."""


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM end what runs as Ctrl-C does, so that files are closed and locks released."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with _nothing_lost():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _nothing_lost() -> Iterator[None]:
    """Repeat a signal whose exception Python has dropped.

    A handler runs wherever the program is. What it raises within a destructor or the callback
    of a weak reference, of which Keras and TensorFlow have many, Python prints and forgets.
    """
    before = sys.unraisablehook
    timers: list[threading.Timer] = []

    def repeat(dropped):
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            return before(dropped)
        number = signal.SIGTERM if isinstance(dropped.exc_value, Terminated) else signal.SIGINT
        timers.append(threading.Timer(AGAIN_SECONDS, signal.raise_signal, [number]))
        timers[-1].daemon = True
        timers[-1].start()

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()
