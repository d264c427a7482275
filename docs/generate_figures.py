"""Draws the data-flow diagrams of the layer pages from the table in `figure_table`.

python docs/generate_figures.py
"""

import re
import sys
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from figure_notation import Figure, Node, Wire
from figure_table import FIGURES

FOLDER = Path(__file__).with_name("figures")
WIDTH, COLUMN, ROW, LEFT, TOP = 460, 154, 72, 76, 38  # user units; a phone shows 0.8 px of each
HEIGHT, ROUND, CUBE, DEPTH = 44, 13, 30, 9
TIMES = "\N{MULTIPLICATION SIGN}"

STYLE = """
svg.kse{--ink:#1d2730;--soft:#5b6770;--line:#8a969f;--op:#f1f4f6;--learned:#d5eeec;
--edge:#0b7a75;--gate:#ffe3b3;--amber:#b86e00;--face:#dfe6ea}
@media (prefers-color-scheme:dark){svg.kse{--ink:#e9eef1;--soft:#aab6be;--line:#8593a0;
--op:#2b333b;--learned:#12484a;--edge:#4fc3bd;--gate:#5a4210;--amber:#f2b84b;--face:#3d4852}}
svg.kse text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink);
text-anchor:middle;dominant-baseline:central}
svg.kse .small{font-size:12px;fill:var(--soft)}
svg.kse .start{text-anchor:start}
svg.kse .name{font:italic 600 16px Georgia,"Times New Roman",serif}
svg.kse .wire{fill:none;stroke:var(--line);stroke-width:1.6}
svg.kse .tip{fill:var(--line)}
svg.kse .op{fill:var(--op);stroke:var(--line)}
svg.kse .learned{fill:var(--learned);stroke:var(--edge)}
svg.kse .gate{fill:var(--gate);stroke:var(--amber)}
svg.kse .face{fill:var(--face);stroke:var(--line)}
svg.kse .cell{fill:var(--amber);stroke:none}
"""
# Shades of the little pictures of gates.
SHADES = (0.95, 0.3, 0.6, 0.15, 0.8, 0.45, 1.0, 0.25, 0.7, 0.4, 0.9, 0.2, 0.55, 0.85, 0.35, 0.65)


def draw(figure: Figure) -> str:
    """The whole SVG."""
    rows = max(node.row for node in figure.nodes.values())
    height = round(TOP + rows * ROW + 36)
    parts = [_wire(figure.nodes, wire) for wire in figure.wires]
    parts += [_DRAWERS[node.kind](node) for node in figure.nodes.values()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kse" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{escape(figure.title)}">\n<title>{escape(figure.title)}</title>'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _at(node: Node) -> tuple[float, float]:
    return LEFT + node.column * COLUMN, TOP + node.row * ROW


def _text(x, y, text, kind="") -> str:
    text = escape(text.replace(" x ", f" {TIMES} "))
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{text}</text>'


def _box(node: Node) -> str:
    x, y = _at(node)
    radius = HEIGHT / 2 if node.kind == "gate" else 7
    title, _, below = node.text.partition("|")
    lines = [_text(x, y - 8 if below else y, title)]
    lines += [_text(x, y + 10, below, "small")] if below else []
    return (
        f'<rect x="{x - node.width / 2:g}" y="{y - HEIGHT / 2:g}" width="{node.width:g}" '
        f'height="{HEIGHT}" rx="{radius:g}" class="{node.kind}"/>' + "".join(lines)
    )


def _sign(node: Node) -> str:
    x, y = _at(node)
    return f'<circle cx="{x:g}" cy="{y:g}" r="{ROUND}" class="op"/>' + _text(
        x, y, node.text.replace("*", TIMES)
    )


def _tensor(node: Node) -> str:
    """A feature map as a cuboid, its name and shape beside it."""
    x, y = _at(node)
    a, b, d = x - CUBE / 2, y - CUBE / 2, DEPTH
    top = f"{a:g},{b:g} {a + d:g},{b - d:g} {a + d + CUBE:g},{b - d:g} {a + CUBE:g},{b:g}"
    right = a + CUBE
    side = f"{right:g},{b:g} {right + d:g},{b - d:g} {right + d:g},{b - d + CUBE:g} "
    side += f"{right:g},{b + CUBE:g}"
    name, _, shape = node.text.partition("|")
    left = right + d + 8
    return (
        f'<rect x="{a:g}" y="{b:g}" width="{CUBE}" height="{CUBE}" class="face"/>'
        f'<polygon points="{top}" class="face"/><polygon points="{side}" class="face"/>'
        + _text(left, y - 14, name, "name start")
        + _text(left + 9 * len(name) + 7, y - 13, shape, "small start")
    )


_DRAWERS = {"op": _box, "learned": _box, "gate": _box, "sign": _sign, "tensor": _tensor}
_DRAWERS["none"] = lambda node: ""


def _half(node: Node) -> tuple[float, float]:
    """Half of a node's width and height, to where wires reach."""
    if node.kind == "sign":
        return ROUND, ROUND
    if node.kind == "tensor":
        return CUBE / 2, CUBE / 2
    return node.width / 2, HEIGHT / 2


def _wire(nodes: dict[str, Node], wire: Wire) -> str:
    """The routes of `figure_notation`, with an arrowhead at their end."""
    first, route, last, label = wire
    (x0, y0), (x1, y1) = _at(nodes[first]), _at(nodes[last])
    (w0, h0), (w1, h1) = _half(nodes[first]), _half(nodes[last])
    if route == "||":
        x0 = x1 = x1 if nodes[last].width < nodes[first].width else x0
    right, down = (1 if x1 > x0 else -1), (1 if y1 > y0 else -1)
    starts_across = route == "-|" or (route == "--" and y0 == y1)
    ends_across = route == "|-" or (route == "--" and y0 == y1)
    start = (x0 + right * w0, y0) if starts_across else (x0, y0 + down * h0)
    h1 += DEPTH * (nodes[last].kind == "tensor")  # a cuboid's lid
    end = (x1 - right * w1, y1) if ends_across else (x1, y1 - down * h1)
    corner = {"-|": (x1, y0), "|-": (x0, y1)}.get(route)
    points = [start, *([corner] if corner else []), end]
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    tip = _tip(end, (right, 0) if ends_across else (0, down))
    return f'<polyline points="{path}" class="wire"/>{tip}' + _label(start, end, label)


def _tip(point, direction) -> str:
    (x, y), (dx, dy) = point, direction
    back = [(x - 9 * dx + 4.5 * dy, y - 9 * dy + 4.5 * dx)]
    back.append((x - 9 * dx - 4.5 * dy, y - 9 * dy - 4.5 * dx))
    corners = " ".join(f"{a:g},{b:g}" for a, b in [(x, y), *back])
    return f'<polygon points="{corners}" class="tip"/>'


def _label(start, end, label) -> str:
    """Words beside a vertical wire or above a horizontal one; [channel] is a little picture."""
    if not label:
        return ""
    (x0, y0), (x1, y1) = start, end
    picture = re.search(r"\[(\w+)\]", label)
    words = label.replace(picture[0], "").strip() if picture else label
    if x0 == x1:
        return _text(x0 + 10, (y0 + y1) / 2, words, "small start")
    x, y = (x0 + x1) / 2, (y0 if abs(y0 - y1) < 1 else y1) - 12
    drawn = _PICTURES[picture[1]](x, y - (10 if words else 0)) if picture else ""
    return drawn + (_text(x, y, words, "small") if words else "")


def _cells(columns, rows, size=8):
    def drawn(x, y):
        left, top = x - columns * size / 2, y - rows * size + 4
        cells = [(i % columns, i // columns) for i in range(columns * rows)]
        return "".join(
            f'<rect x="{left + c * size:g}" y="{top + r * size:g}" width="{size - 1}" '
            f'height="{size - 1}" class="cell" opacity="{SHADES[i % len(SHADES)]}"/>'
            for i, (c, r) in enumerate(cells)
        )

    return drawn


_PICTURES = {
    "channel": _cells(7, 1),
    "pixels": _cells(4, 4),
    "rows": _cells(1, 4),
    "columns": _cells(4, 1),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, figure in FIGURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(figure))


if __name__ == "__main__":
    main()
