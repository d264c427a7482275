"""What channel gates let through: mean and spread, by class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...plots import drawable
from ..gates import ChannelGates
from ._panels import COLUMN_WIDTH, ROW_HEIGHT, in_print_style, panels, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 5  # drawn as lines of their own; the paper shows five


@in_print_style
def excitations(
    gates: Mapping[str, ChannelGates] | Sequence[ChannelGates],
    labels=None,
    class_names: Sequence[str] | None = None,
) -> "Figure":
    """Draw mean and spread of the excitations, gate by gate and class by class.

    Hu et al., https://arxiv.org/abs/1709.01507, figures 5 and 6.

    Args:
        gates: what `explain.gates` returned. Of each stage the last gate is drawn; gates
            without a stage are drawn all.
        labels: integers (n,), the classes of the pictures; None draws all of them together.
        class_names: names of the classes. None: their numbers.

    Returns:
        One panel for each gate: the mean over all pictures in black with a band of one
        standard deviation, and the mean of up to five classes in colours.

    Raises:
        ValueError: without gates, or not one label for each picture.
    """
    gates = list(gates.values() if isinstance(gates, Mapping) else gates)
    if not gates:
        raise ValueError("There are no channel gates to draw")
    chosen = list({gate.stage or gate.layer: gate for gate in gates}.values())
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure, axes = panels(rows, columns, (COLUMN_WIDTH, ROW_HEIGHT), sharey=True)
    for axis in axes[len(chosen) :]:
        axis.remove()
    for axis, gate in zip(axes, chosen, strict=False):
        _draw_excitations(axis, gate, labels, class_names)
    for axis in axes[: len(chosen) : columns]:
        axis.set_ylabel("excitation")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_excitations(axis, gate, labels, class_names):
    mean, spread = gate.values.mean(axis=0), gate.values.std(axis=0)
    channels = np.arange(len(mean))
    if labels is not None:
        present = sorted(set(np.asarray(labels).tolist()))
        by_class = gate.mean_by_class(labels, present[-1] + 1)
        for label in present[:MOST_CLASSES]:
            name = str(label) if class_names is None else class_names[label]
            axis.plot(channels, by_class[label], linewidth=0.8, label=drawable(name))
    axis.fill_between(channels, mean - spread, mean + spread, color="0.85", label="all, 1 sd")
    axis.plot(channels, mean, color="black", linewidth=1.2, label="all, mean")
    axis.set(title=short(gate.layer), xlabel="channel", xlim=(0, max(1, len(mean) - 1)))
    axis.locator_params(axis="x", integer=True)
