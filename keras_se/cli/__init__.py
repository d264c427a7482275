"""The command line: `keras-se COMMAND ...`."""

import atexit
import contextlib
import gc
import io
import os
import sys

from .._version import __version__
from . import (
    compare,
    convert,
    demo,
    evaluate,
    explain,
    inspect,
    models,
    onnx,
    report,
    train,
)
from ._command import make_parser
from ._flags import with_flags
from ._native_logs import silenced
from ._signals import Terminated

COMMANDS = tuple(
    module.COMMAND
    for module in (
        demo,
        train,
        evaluate,
        explain,
        convert,
        compare,
        inspect,
        report,
        onnx,
        models,
    )
)

OK, ERROR = 0, 2
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # as a shell reports them
LONGEST_MESSAGE = 600  # characters


def main(argv: list[str] | None = None) -> int:
    """Run `keras-se`.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit status: 0, 2 after an error (one line on stderr, or with --debug a
        traceback), 130 after Ctrl-C, 143 after SIGTERM in `train`.
    """
    # Names that a terminal has no characters for, or that are no text at all.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # The interpreter's last collection walks all of Keras and TensorFlow: 1.3 s of CPU time after
    # the files are written, 46 s on a busy machine; 0.15 s without.
    atexit.register(gc.freeze)
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = make_parser(COMMANDS, __version__).parse_args(words)
    except SystemExit as stop:  # argparse has printed the help, the version or an error
        return int(stop.code or OK)
    arguments.words = words
    try:
        with contextlib.nullcontext() if arguments.debug else silenced():
            arguments.run(arguments)
            sys.stdout.flush()
        return OK
    except KeyboardInterrupt as stop:
        print(f"keras-se: interrupted{f': {stop}' if str(stop) else ''}", file=sys.stderr)
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
    except BrokenPipeError:  # the reader of stdout has gone: `keras-se models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if arguments.debug:
            raise
        message = with_flags(one_line(error), arguments.flags)
        print(f"keras-se: error: {message}", file=sys.stderr)
        return ERROR


def one_line(error: Exception) -> str:
    """An error as one line; its kind is named where the message was not written for a user."""
    text = " ".join(str(error).split())
    if not isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)):
        text = f"{type(error).__name__}: {text} (--debug shows where)"
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]}... (--debug shows the rest)"
    return text


__all__ = ["COMMANDS", "main"]
