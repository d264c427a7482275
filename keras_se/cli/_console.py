"""What commands show while they work, and how they print results."""

import json
import sys
from contextlib import AbstractContextManager, nullcontext


def working(message: str) -> AbstractContextManager:
    """A spinner on stderr, until the context ends; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"{message} ...")


def print_json(value) -> None:
    """Print a result for other programs."""
    print(json.dumps(value, indent=2))
