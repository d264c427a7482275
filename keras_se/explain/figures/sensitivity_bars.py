"""What the gates of each stage earn."""

from typing import TYPE_CHECKING

from ._panels import COLUMN_WIDTH, in_print_style, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..sensitivity import Sensitivity


@in_print_style
def sensitivity_bars(found: "Sensitivity") -> "Figure":
    """Draw what the gates of each stage earn.

    Args:
        found: what `explain.sensitivity` returned.
    """
    figure, [axis] = panels(1, 1, (COLUMN_WIDTH * 1.5, 2.8))
    names = [row.stage for row in found.stages]
    axis.bar(names, [100 * row.accuracy for row in found.stages], color="tab:blue", width=0.6)
    axis.axhline(100 * found.accuracy, color="black", linewidth=1, label="all gates at work")
    for index, row in enumerate(found.stages):
        axis.annotate(
            f"{-100 * row.drop + 0:+.1f}", (index, 100 * row.accuracy), ha="center", va="bottom"
        )
    axis.set(ylabel="accuracy, %", title="Gates of one stage at their mean")
    axis.margins(y=0.15)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center")
    return figure
