"""What the figures share: panels in the papers' size and type, and short names."""

from typing import TYPE_CHECKING, Any

from ...plots import check_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {  # its hints list every key
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
}
COLUMN_WIDTH, ROW_HEIGHT = 3.2, 2.5  # inches, of one panel


def panels(
    rows: int, columns: int, size: tuple[float, float], **options
) -> tuple["Figure", list["Axes"]]:
    """A figure for print, and its axes in a list, row by row.

    Args:
        rows: number of rows of panels.
        columns: number of columns.
        size: width and height of one panel, in inches.
        **options: of `Figure.subplots`.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        # Not pyplot: it would choose a window system and keep the figure alive.
        figure = Figure(
            figsize=(size[0] * columns + 0.6, size[1] * rows + 0.5), dpi=150, layout="constrained"
        )
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def short(name: str) -> str:
    """The end of a long path, which tells layers apart."""
    name = name.removesuffix("/channel").removesuffix("/spatial").removesuffix("/gate")
    return name if len(name) <= 22 else f"…{name[-21:]}"
