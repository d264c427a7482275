"""The library's words in a message, as the flags of a command."""

import argparse
import re
from collections.abc import Mapping

WHOLE = {'preprocess="included"': "--preprocess-included"}  # whose flag takes no value
# Destination of a flag -> the library's word for it.
ALSO = {"threads": "num_threads", "data": "images"}


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The flags of a command by the arguments of the library that they stand for."""
    flags = {
        action.dest: next(s for s in action.option_strings if s.startswith("--"))
        for action in reversed(parser._actions)  # of several with one destination the first
        if action.option_strings and action.const in (None, True, False)
    }
    return flags | {ALSO[name]: flag for name, flag in flags.items() if name in ALSO}


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message that names flags where it named arguments of Python.

    >>> with_flags("needs `data`. Received: size=0", {"data": "--data", "size": "--size"})
    'needs --data. Received: --size 0'
    >>> with_flags("pass overwrite=True (--overwrite)", {"overwrite": "--overwrite"})
    'pass --overwrite'
    """
    if not flags:
        return message
    message = re.sub(r"\w+=True \((--[\w-]+)\)|(--[\w-]+) \(\w+=True\)", r"\1\2", message)
    for said, flag in WHOLE.items():
        message = message.replace(said, flag)
    names = "|".join(map(re.escape, sorted(flags, key=len, reverse=True)))
    value = r"'[^']*'|\"[^\"]*\"|[^\s,;:)`]*[^\s,;:)`.]|"

    def as_flag(match):
        given = match["value"].strip("'\"") if match["value"] else ""
        said = given if given not in ("True", "None") else ""
        return f"{flags[match['name']]} {said}".rstrip()

    message = re.sub(rf"`?(?<![\w.-])(?P<name>{names})=(?P<value>{value})`?", as_flag, message)
    return re.sub(rf"`({names})`", lambda match: flags[match[1]], message)
