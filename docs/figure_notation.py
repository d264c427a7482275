"""How the diagrams of the layer pages are written: nodes on a grid, and the wires between them.

A node is "column row kind text|second line". Kinds: "tensor" (a feature map: name|shape),
"op" (without weights), "learned" (with weights), "gate" (the gate function), "sign" (an
operation of two tensors), "none" (where a wire leaves a wide box); ":290" after it is its width
in user units. A wire is "a -- b" straight, "a -| b" across and then down, "a |- b"
down and then across, "a || b" straight down to or from a wide box, with what flows there after a
colon; [channel], [pixels], [rows] and [columns] draw the gates. " x " is drawn as a times sign.
"""

from typing import NamedTuple


class Node(NamedTuple):
    """A place in the grid and what is drawn there."""

    column: float
    row: float
    kind: str
    text: str
    width: float = 140  # of a box


class Wire(NamedTuple):
    """A way from node to node, by their names."""

    first: str
    route: str  # "--", "-|", "|-" or "||"
    last: str
    label: str


class Figure(NamedTuple):
    """A diagram."""

    title: str
    nodes: dict[str, Node]
    wires: list[Wire]


def figure(title: str, nodes: dict[str, str], wires: str) -> Figure:
    """Read a diagram.

    Args:
        title: what it shows, for who cannot see it.
        nodes: by name.
        wires: separated by semicolons.

    >>> figure("", {"x": "0 0 tensor x|h x w", "y": "0 1 op mean"}, "x -- y: c").wires
    [Wire(first='x', route='--', last='y', label='c')]
    """
    return Figure(
        title,
        {name: _node(line) for name, line in nodes.items()},
        [_wire(line) for line in wires.split(";") if line.strip()],
    )


def _node(line: str) -> Node:
    column, row, kind, *text = line.split(maxsplit=3)
    kind, _, width = kind.partition(":")
    return Node(float(column), float(row), kind, *text or [""], float(width or 140))


def _wire(line: str) -> Wire:
    ends, _, label = line.partition(":")
    return Wire(*ends.split(), label.strip())
