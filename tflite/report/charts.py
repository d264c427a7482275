"""The page's two charts, as inline SVG: colours are the page's, so that they follow its theme."""

import math
from collections.abc import Sequence
from html import escape

from ..accuracy.gates import Gate
from ..accuracy.layerwise import LayerError
from .names import decibels, layer_name

_WIDTH, _HEIGHT = 760, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 14, 34


def layer_chart(layers: Sequence[LayerError], worst: Sequence[LayerError], poor_db: float) -> str:
    """SNR of each operator's output in order of execution; the worst ones are marked.

    Args:
        layers: in order of execution.
        worst: those to mark.
        poor_db: drawn as a line.

    Returns:
        An `<svg>` element.
    """
    finite = [layer.snr_db for layer in layers if math.isfinite(layer.snr_db)]
    top = 10 * math.ceil(max([*finite, poor_db]) / 10)
    bottom = 10 * math.floor(min([*finite, 0]) / 10)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(layers) - 1, 1)

    def x(place):
        return _LEFT + place * step

    def y(snr_db):
        share = (min(max(snr_db, bottom), top) - bottom) / (top - bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_axis(y, range(bottom, top + 1, 10), poor_db, len(layers))]
    points = " ".join(f"{x(i):.1f},{y(layer.snr_db):.1f}" for i, layer in enumerate(layers))
    parts.append(f'<polyline class="line" points="{points}"/>')
    marked = set(map(id, worst))
    for place, layer in enumerate(layers):
        kind = "worst" if id(layer) in marked else _kind(layer)
        label = (
            f"{place + 1}. {layer_name(layer.name)} ({layer.operator}): {decibels(layer.snr_db)}"
        )
        parts.append(
            f'<circle class="{kind}" cx="{x(place):.1f}" cy="{y(layer.snr_db):.1f}" '
            f'r="{5 if kind == "worst" else 3.5}"><title>{escape(label)}</title></circle>'
        )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="SNR of every operator in dB">{"".join(parts)}</svg>'
    )


def _kind(layer: LayerError) -> str:
    return "gate" if layer.operator == "LOGISTIC" else "point"


def _axis(y, ticks, poor_db: float, count: int) -> str:
    right = _WIDTH - _RIGHT
    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick}</text>'
        for tick in ticks
    ]
    level = f"{y(poor_db):.1f}"
    lines.append(f'<line class="poor" x1="{_LEFT}" x2="{right}" y1="{level}" y2="{level}"/>')
    base = _HEIGHT - 10
    for anchor, place, text in (
        ("start", _LEFT, "operator 1"),
        ("middle", (_LEFT + right) / 2, "in order of execution"),
        ("end", right, str(count)),
    ):
        lines.append(
            f'<text class="tick" x="{place:.0f}" y="{base}" text-anchor="{anchor}">{text}</text>'
        )
    return "".join(lines)


def gate_bar(gate: Gate) -> str:
    """The range of a gate's values in [0, 1], and their mean, as an `<svg>` element."""
    left, right = 100 * gate.minimum, 100 * gate.maximum
    kind = "small" if gate.is_small else "range"
    return (
        '<svg class="bar" viewBox="-2 0 104 12" preserveAspectRatio="none" role="img" '
        f'aria-label="from {gate.minimum:.3g} to {gate.maximum:.3g}, mean {gate.mean:.3g}">'
        '<line class="grid" x1="0" x2="100" y1="6" y2="6"/>'
        f'<rect class="{kind}" x="{left:.2f}" width="{max(right - left, 0.8):.2f}" y="3" '
        'height="6" rx="1"/>'
        f'<rect class="mean" x="{100 * gate.mean - 0.6:.2f}" width="1.2" y="0" height="12"/></svg>'
    )
