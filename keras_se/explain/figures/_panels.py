"""What the figures share: panels in the papers' size and type, and short names."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

from ...plots import check_matplotlib, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {  # its hints list every key
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "text.parse_math": False,  # two dollars in the name of a class are no formula
}
COLUMN_WIDTH, ROW_HEIGHT = 3.2, 2.5  # inches, of one panel
Arguments = ParamSpec("Arguments")


def in_print_style(draw: Callable[Arguments, "Figure"]) -> Callable[Arguments, "Figure"]:
    """Let a function draw in `STYLE`: titles and legends take their size where they are made.

    The function raises ImportError, with the cure, if matplotlib is not installed.
    """

    @functools.wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> "Figure":
        check_matplotlib()
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def panels(
    rows: int, columns: int, size: tuple[float, float], **options
) -> tuple["Figure", list["Axes"]]:
    """A figure for print, and its axes in a list, row by row.

    Args:
        rows: number of rows of panels.
        columns: number of columns.
        size: width and height of one panel, in inches.
        **options: of `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    whole = (size[0] * columns + 0.6, size[1] * rows + 0.5)
    # Not pyplot: it would choose a window system and keep the figure alive.
    figure = Figure(figsize=whole, dpi=150, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def short(name: str) -> str:
    """The end of a long path, which tells layers apart."""
    name = name.removesuffix("/channel").removesuffix("/spatial").removesuffix("/gate")
    name = drawable(name)
    return name if len(name) <= 22 else f"…{name[-21:]}"
