"""The demo's picture: confusion matrices, and what the gates do class by class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..explain import ChannelGates
from ..plots import draw_confusions, name_classes, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (16.0, 10.0)  # inches, at 100 pixels each


def report(
    title: str,
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    gates: Sequence[ChannelGates],
) -> "Figure":
    """Draw confusion matrices side by side, and below them the gates per class and stage.

    Args:
        title: heading of the figure.
        labels: integers (n,), the classes of n pictures.
        predictions: name -> integers (n,), the classes that it gives to the pictures.
        class_names: names of the classes.
        gates: channel gates on the same pictures; of each stage the last is drawn, as its
            mean over the pictures of each class (figure 5 of the SENet paper).

    Returns:
        A `matplotlib.figure.Figure` of 1600 x 1000 pixels; save it with `savefig(path)`.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    with new_figure(title, SIZE) as figure:
        above, below = figure.subfigures(2, 1, height_ratios=(1.1, 1), hspace=0.04)
        draw_confusions(above, labels, predictions, class_names)
        _draw_gates(below, _last_of_each_stage(gates), labels, class_names)
    return figure


def _draw_gates(figure, gates: Sequence[ChannelGates], labels, class_names) -> None:
    """A heat map for each gate: classes by channels, on one colour scale."""
    if not gates:
        return
    means = [gate.mean_by_class(labels, len(class_names)) for gate in gates]
    low = min(0, *(np.nanmin(mean) for mean in means))
    high = max(1, *(np.nanmax(mean) for mean in means))
    axes = figure.subplots(1, len(gates), sharey=True, squeeze=False)[0]
    for column, gate, mean in zip(axes, gates, means, strict=True):
        image = column.imshow(
            mean, aspect="auto", interpolation="nearest", cmap="viridis", vmin=low, vmax=high
        )
        name = gate.layer if gate.stage is None else f"Stage {gate.stage}"
        column.set(xlabel="channel", title=f"{name}: mean gate per class")
    name_classes(axes[0].yaxis, class_names)
    axes[0].set_ylabel("true class")
    figure.colorbar(image, ax=list(axes), label="gate (1 passes, 0 blocks)", pad=0.01)


def _last_of_each_stage(gates: Sequence[ChannelGates]) -> list[ChannelGates]:
    """One gate per stage; a gate without a stage stands for itself."""
    return list({gate.stage or gate.layer: gate for gate in gates}.values())
