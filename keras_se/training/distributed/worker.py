"""One process of a run that `launch` has started: `python -m` with a task on stdin."""

import json
import os
import sys
import threading
import time

from ..run.fit import fit
from ..settings import FitSettings
from .join import HEARTBEAT, join
from .launch import MARK

# What the libraries that carry data between processes say of a peer that is gone.
LOST = ("Gloo", "NCCL", "Connection closed", "Connection reset", "UNAVAILABLE", "coordination")


def main() -> None:
    """Join the group and train, as the task says."""
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        join(**task["group"])
        fit(FitSettings(**task["settings"]))
    except BaseException as error:  # Ctrl-C too
        if _lost_a_peer(error):
            # JAX's coordination service says which one, and ends this process.
            time.sleep(3 * HEARTBEAT)
        sys.stdout.flush()
        print(f"{MARK}{_words(error)}", file=sys.stderr, flush=True)
        # At once: an orderly end would wait for the others, who wait for this one.
        os._exit(1)


def _lost_a_peer(error: BaseException) -> bool:
    return any(word in str(error) for word in LOST)


def _words(error: BaseException) -> str:
    kind = type(error).__name__
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError | OSError) and text else f"{kind}: {text}"


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
