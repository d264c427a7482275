"""Checks of numbers that arrive as arguments."""

from numbers import Real


def check_positive(name: str, value) -> None:
    """Raise unless `value` is a finite number above 0."""
    check_number(name, value, 0)
    if value == 0:
        raise ValueError(f"`{name}` must be above 0. Received: {name}={value!r}")


def check_number(
    name: str, value, low: float, high: float = float("inf"), *, closed: bool = False
) -> None:
    """Raise unless `value` is a number in [low, high), or in [low, high] where that is closed."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    valid = number and low <= float(value) <= high
    if not valid or (value == high and not closed):
        raise ValueError(
            f"`{name}` must be a number in [{low}, {high}{']' if closed else ')'}. "
            f"Received: {name}={value!r}"
        )
