"""Figures, drawn with matplotlib where they are asked for (`pip install "keras-se[plot]"`)."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {  # matplotlib's hints list every key
    "font.size": 13,
    "axes.titlesize": 15,
    "axes.titlepad": 9,
    "figure.titlesize": 18,
    "figure.titleweight": "bold",
    "text.parse_math": False,  # two dollars in the name of a class are no formula
}
MOST_LABELLED = 15  # classes up to which all names and all counts are written


def check_matplotlib() -> None:
    """Raise ImportError, with the cure, unless matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('Figures need matplotlib: pip install "keras-se[plot]"') from error


def confusion(
    title: str, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]
) -> "Figure":
    """Draw one confusion matrix: true classes (n,) by predicted classes (n,)."""
    with new_figure(title, (10.0, 8.0)) as figure:
        draw_confusions(figure, labels, {"Validation": predictions}, class_names)
    return figure


def curves(title: str, history: Sequence[Mapping[str, float]]) -> "Figure":
    """Draw loss and accuracy, in training and validation, over the epochs.

    Args:
        title: heading of the figure.
        history: for each epoch `epoch`, `loss`, `val_loss`, `accuracy` and `val_accuracy`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    epochs = [row["epoch"] for row in history]
    with new_figure(title, (12.0, 5.0)) as figure:
        for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, [row[key] for row in history], label=label, marker=marker)
            axes.set(xlabel="epoch", ylabel=name, title=name.capitalize())
            axes.grid(alpha=0.3)
            axes.legend()
    return figure


@contextlib.contextmanager
def new_figure(title: str, size: tuple[float, float]):
    """An empty figure of `size` inches in the common style."""
    check_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        # Not pyplot: it would choose a window system and keep the figure alive.
        figure = Figure(figsize=size, dpi=100, layout="constrained")
        figure.suptitle(drawable(title))
        yield figure


def confusion_matrix(labels, predictions, classes: int) -> np.ndarray:
    """Count pictures by class: rows are the true ones, columns the predicted ones.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (np.asarray(labels), np.asarray(predictions)), 1)
    return matrix


def draw_confusions(figure, labels, predictions, class_names) -> None:
    """One matrix for each name, on one colour scale, with the accuracy as its title."""
    axes = figure.subplots(1, len(predictions), sharey=True, squeeze=False)[0]
    for column, (name, predicted) in zip(axes, predictions.items(), strict=True):
        matrix = confusion_matrix(labels, predicted, len(class_names))
        image = _draw_confusion(column, matrix, class_names)
        right = int(np.trace(matrix))
        column.set_title(
            f"{name}: {right / len(labels):.1%} top-1 accuracy ({right} of {len(labels)})"
        )
    axes[0].set_ylabel("true class")
    ticks = [0, 0.05, 0.25, 0.5, 1]
    figure.colorbar(
        image,
        ax=list(axes),
        label="share of the true class",
        ticks=ticks,
        format="{x:.0%}",
        pad=0.01,
    )


def _draw_confusion(axes: "Axes", matrix: np.ndarray, class_names: Sequence[str]):
    """Coloured by the share of each row and numbered by pictures."""
    from matplotlib.colors import PowerNorm

    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The root lets a single mistake be seen beside a full diagonal.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), aspect="auto")
    if len(class_names) <= MOST_LABELLED:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if shares[row, column] > 0.4 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
    slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    name_classes(axes.xaxis, class_names, **slanted if sum(map(len, class_names)) > 40 else {})
    name_classes(axes.yaxis, class_names)
    axes.set_xlabel("predicted class")
    return image


def name_classes(axis, class_names: Sequence[str], **text) -> None:
    """Ticks with class names, shortened; every n-th where there are too many to read."""
    step = -(-len(class_names) // MOST_LABELLED)
    ticks = range(0, len(class_names), step)
    names = [drawable(class_names[tick]) for tick in ticks]
    short = [name if len(name) <= 16 else f"{name[:15]}…" for name in names]
    axis.set_ticks(ticks, short, **text)


def drawable(name: str) -> str:
    """A name as matplotlib can draw it: of a folder's name, the bytes that are no text are "?".

    >>> drawable("Größe \\udcff")
    'Größe ?'
    """
    return name.encode(errors="replace").decode()
