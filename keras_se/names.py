"""Names, numbers and tables in messages."""

import difflib
from collections.abc import Iterable, Sequence

MOST = 20  # names that a message lists


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural but for one.

    >>> counted(1, "picture"), counted(1797, "picture")
    ('1 picture', '1797 pictures')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def expected(name, valid: Iterable, where: str = "") -> str:
    """What is expected in place of a name: one of a few, or of many those that are near.

    Args:
        name: what was received.
        valid: the names that there are.
        where: what lists all of them.

    >>> expected("gte", ["gate", "ratio"])
    "expected one of ['gate', 'ratio']"
    >>> expected("resnet50", [f"ResNet{n}" for n in range(40, 90)], "the table")
    "did you mean 'ResNet50', 'ResNet85', 'ResNet80', 'ResNet75', 'ResNet70'? All 50: the table"
    """
    names = list(valid)
    if len(names) <= MOST:
        return f"expected one of {names}"
    by_lower = {str(each).lower(): each for each in names}
    near = difflib.get_close_matches(str(name).lower(), by_lower, 5)
    suggestion = f"did you mean {', '.join(repr(by_lower[each]) for each in near)}? " * bool(near)
    return f"{suggestion}All {len(names)}: {where or names}"


def aligned(rows: Iterable[Sequence[str]], left: Sequence[bool]) -> str:
    """A table of text, a line for each row.

    Args:
        rows: cells, as many in each row.
        left: for each column, whether its cells begin at one place, or else end at one.

    >>> print(aligned([("layer", "weights"), ("conv", "9")], (True, False)))
    layer  weights
    conv         9
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in rows
    )


def check_name(argument: str, value, valid: Iterable, where: str = ""):
    """Return `value` if it is one of `valid`.

    Args:
        argument: what the caller's argument is called.
        value: what was received for it.
        valid: what it can be.
        where: what lists all of them.

    Raises:
        ValueError: if it is not; with what is expected, as in `expected`.
    """
    names = list(valid)  # a list cannot be looked up in a dict
    if value not in names:
        raise ValueError(
            f"Unknown {argument} {value!r}; {expected(value, names, where)}. "
            f"Received: {argument}={value!r}"
        )
    return value
