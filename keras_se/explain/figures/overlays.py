"""Maps over the pictures they belong to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._panels import in_print_style, panels, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE = 1.8  # inches, of one picture in the grid


@in_print_style
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
    figure, axes = panels(len(pictures), 1 + len(maps), size)
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
                axis.set_title(short(name))
        if titles is not None:
            grid[row, 0].set_ylabel(short(titles[row]))
    grid[0, 0].set_title("picture")
    figure.colorbar(image, ax=list(grid[:, -1]), label=label)
    return figure
