"""What attention does, drawn as in the papers (`pip install "keras-se[demo]"`).

Every function returns a `matplotlib.figure.Figure`; save it with `figure.savefig(path)`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .gates import ChannelGates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {  # its hints list every key
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
}
MOST_CLASSES = 5  # drawn as lines of their own; the paper shows five
COLUMN_WIDTH, ROW_HEIGHT = 3.2, 2.5  # inches, of one panel
PICTURE = 1.8  # inches, of one picture in a grid
MOST_BLOCK_NAMES = 24


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
    figure, axes = _panels(rows, columns, (COLUMN_WIDTH, ROW_HEIGHT), sharey=True)
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
            axis.plot(channels, by_class[label], linewidth=0.8, label=name)
    axis.fill_between(channels, mean - spread, mean + spread, color="0.85", label="all, 1 sd")
    axis.plot(channels, mean, color="black", linewidth=1.2, label="all, mean")
    axis.set(title=_short(gate.layer), xlabel="channel", xlim=(0, max(1, len(mean) - 1)))
    axis.locator_params(axis="x", integer=True)


def kernel_choice(attention: Mapping[str, np.ndarray], scales: Sequence[float]) -> "Figure":
    """Draw which kernel is chosen for which size of object, block by block.

    Li et al., https://arxiv.org/abs/1903.06586, figure 3 (b) and figure 4.

    Args:
        attention: what `explain.attention_by_scale` returned.
        scales: the scales that it was given.

    Returns:
        Above 0 the larger kernel is preferred: one line for each scale, its points the
        means over the channels of each block.

    Raises:
        ValueError: if there is not one row for each scale.
    """
    arrays = list(attention.values())
    if not arrays or any(len(array) != len(scales) for array in arrays):
        raise ValueError(
            f"`attention` must hold one row for each scale. Received: {len(arrays)} blocks, "
            f"{[len(array) for array in arrays][:1]} rows, scales={tuple(scales)}"
        )
    width = max(COLUMN_WIDTH * 1.6, 0.34 * len(arrays) + 1.2)
    figure, [axis] = _panels(1, 1, (width, 3.4))
    positions = np.arange(len(arrays))
    for index, scale in enumerate(scales):
        heights = [array[index].mean() for array in arrays]
        axis.plot(positions, heights, marker="o", markersize=3.5, label=f"{scale:.1f}x")
    axis.axhline(0, color="0.6", linewidth=0.8)
    step = -(-len(arrays) // MOST_BLOCK_NAMES)
    names = [re.sub(r"_conv\d$", "", path).replace("_block", ".") for path in attention]
    axis.set_xticks(
        positions[::step], names[::step], rotation=60, ha="right", rotation_mode="anchor"
    )
    axis.set(ylabel="attention, last minus first branch", title="Kernel size by object size")
    axis.legend(title="object", frameon=False)
    return figure


def overlays(
    pictures, maps: Mapping[str, np.ndarray], titles: Sequence[str] | None = None, label: str = ""
) -> "Figure":
    """Draw maps over the pictures they belong to: CBAM's spatial maps, or Grad-CAM's.

    Woo et al., https://arxiv.org/abs/1807.06521, figure 4.

    Args:
        pictures: array (n, height, width, 3 or 1), RGB in [0, 255], as they were loaded.
        maps: name -> array (n, h, w) of any size, such as `explain.spatial_maps` returns.
        titles: a title for each picture, such as its class.
        label: what the colours mean.

    Returns:
        One row for each picture: the picture, then each map over it, on one colour scale.

    Raises:
        ValueError: if a map is not there for each picture.
    """
    pictures = np.clip(np.asarray(pictures) / 255.0, 0, 1)
    wrong = [name for name, array in maps.items() if len(array) != len(pictures)]
    if wrong or not maps:
        raise ValueError(
            f"There must be maps, one for each of {len(pictures)} pictures. Received: {wrong}"
        )
    height, width = pictures.shape[1:3]
    size = (PICTURE, PICTURE * height / width)
    figure, axes = _panels(len(pictures), 1 + len(maps), size)
    low, high = (pick([pick(array) for array in maps.values()]) for pick in (np.min, np.max))
    grid = np.reshape(np.array(axes, dtype=object), (len(pictures), -1))
    for row, picture in enumerate(pictures):
        shown = picture if picture.shape[-1] == 3 else picture[..., 0]
        for axis in grid[row]:
            axis.set(xticks=[], yticks=[])
            axis.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
        for axis, (name, array) in zip(grid[row, 1:], maps.items(), strict=True):
            image = axis.imshow(
                array[row],
                cmap="jet",
                alpha=0.5,
                vmin=low,
                vmax=high,
                extent=(0, width, height, 0),
                interpolation="bilinear",
            )
            if row == 0:
                axis.set_title(_short(name))
        if titles is not None:
            grid[row, 0].set_ylabel(_short(titles[row]))
    grid[0, 0].set_title("picture")
    figure.colorbar(image, ax=list(grid[:, -1]), label=label)
    return figure


def sensitivity_bars(found) -> "Figure":
    """Draw what the gates of each stage earn.

    Args:
        found: what `explain.sensitivity` returned.
    """
    figure, [axis] = _panels(1, 1, (COLUMN_WIDTH * 1.5, 2.8))
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


def _short(name: str) -> str:
    """The end of a long path, which tells layers apart."""
    name = name.removesuffix("/channel").removesuffix("/spatial").removesuffix("/gate")
    return name if len(name) <= 22 else f"…{name[-21:]}"


def _panels(rows, columns, size, **options):
    """A figure for print, and its axes in a list."""
    from ..plots import check_matplotlib

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
