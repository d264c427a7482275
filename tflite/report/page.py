"""The report as one HTML page that loads nothing: styles, charts and pictures are inside."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from ..accuracy.layerwise import worst_layers
from .charts import gate_bar, layer_chart
from .facts import Facts
from .findings import findings
from .names import decibels, layer_name
from .support import Problem, Support

_POOR_SNR_DB = 30.0
_MOST_CLASSES = 15  # in a drawn confusion matrix
_MOST_CHANGES = 8  # cells in the table above the matrix; three times as many without one
_EQUAL = 1.05  # latencies this close are equal
_WIDEST = 2.5  # a bar of time is full at so many times that of float32


@dataclass(frozen=True)
class Group:
    """Operators of one device with the same problem and the same cure."""

    operators: str
    reason: str
    cure: str


def render(facts: Facts) -> str:
    """Fill the template.

    Raises:
        ImportError: without the extra `report`.
    """
    try:
        import jinja2
        from markupsafe import Markup, escape
    except ImportError as error:
        raise ImportError('The page needs Jinja2: pip install "keras-se[report]"') from error
    # Escapes whatever a label, a layer or a file is called; the template marks what is markup.
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "percent": _percent,
        "db": decibels,
        "ms": lambda value: f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms",
        "size": _size,
        "times": lambda value: f"{value:.2f} x",
        "layer": layer_name,
        "breakable": lambda name: Markup(str(escape(name)).replace("_", "_<wbr>")),
        "base64": lambda content: base64.b64encode(content).decode(),
        "gate_bar": gate_bar,
    }
    folder = files(__package__)
    template = environment.from_string(folder.joinpath("page.html").read_text("utf-8"))
    worst = worst_layers(facts.layers)
    show_matrix = facts.confusion is not None and len(facts.class_names) <= _MOST_CLASSES
    return template.render(
        facts=facts,
        style=folder.joinpath("page.css").read_text("utf-8"),
        headline=_headline(facts),
        findings=findings(facts),
        worst=worst,
        chart=layer_chart(facts.layers, worst, _POOR_SNR_DB) if facts.layers else None,
        float_row=next(row for row in facts.recipes if row.recipe == "float32"),
        bar=lambda row: min(100 * row.over_float / _WIDEST, 100),
        show_matrix=show_matrix,
        most_changes=_MOST_CHANGES if show_matrix else 3 * _MOST_CHANGES,
        shown=[each for each in facts.disagreements if each.picture],
        groups={device.device: _grouped(device.problems) for device in facts.devices},
        operators=list(facts.devices[0].total),
        cell=_cell,
        infinity=float("inf"),
    )


def _headline(facts: Facts) -> str:
    """One sentence: what the file is worth."""
    comparison, parts = facts.comparison, []
    if comparison.agreement is not None:
        same = comparison.images - len(facts.disagreements)
        parts.append(f"the same class as Keras on {same:,} of {comparison.images:,} pictures")
    else:
        parts.append(
            f"{decibels(comparison.snr_db)} against Keras on {comparison.images:,} pictures"
        )
    plain = next(row for row in facts.recipes if row.recipe == "float32")
    if facts.recipe != "float32" and plain.size_bytes and plain.latency_ms:
        size = comparison.size_bytes / plain.size_bytes
        speed = _speed(plain.latency_ms / comparison.latency_ms)
        parts.append(f"{size:.0%} of float32's size, {speed}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _speed(ratio: float) -> str:
    """A speed beside another; within 5 % they are equal.

    >>> _speed(2.0), _speed(0.98), _speed(0.5)
    ('2.0 times as fast', 'as fast', 'takes 2.0 times as long')
    """
    if 1 / _EQUAL < ratio < _EQUAL:
        return "as fast"
    return f"{ratio:.1f} times as fast" if ratio > 1 else f"takes {1 / ratio:.1f} times as long"


def _cell(device: Support, operator: str) -> str:
    """How many operators of a kind a device takes, in words and as a class of the style."""
    taken, total = device.taken[operator], device.total[operator]
    return "yes" if taken == total else "no" if taken == 0 else f"{taken} of {total}"


def _grouped(problems: Sequence[Problem]) -> tuple[Group, ...]:
    """Problems with the same reason and cure in one."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.reason, problem.cure), []).append(problem)
    return tuple(
        Group(", ".join(f"{each.count} x {each.operator}" for each in same), reason, cure)
        for (reason, cure), same in groups.items()
    )


def _percent(share: float) -> str:
    return f"{share:.2%}".replace("100.00%", "100%")


def _size(size_bytes: int) -> str:
    """Bytes for people.

    >>> _size(107_856), _size(25_000_000), _size(900)
    ('108 kB', '25.0 MB', '900 bytes')
    """
    if size_bytes >= 1e6:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes >= 1e3 else f"{size_bytes} bytes"
