"""What each device runs of a file, with the evidence for it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..file.inspect import Inspection
from .cures import CURES, OTHER_CURE, WINDOW_CURE
from .devices import DEVICES, Device
from .nodes import Node

MEASURED, COMPILED, DOCUMENTED = "measured", "compiled", "documented"
_NOT_LISTED = "not on the list of supported operators"
_XNNPACK_CURES = {
    "AVERAGE_POOL_2D": WINDOW_CURE,
    "HARD_SWISH": "tflite.Lowering(hard_swish='product')",
    "RELU6": "put the activation behind a convolution, which it is fused into",
}
_INT16_CURE = 'recipe="static_int8": XNNPACK has no kernels for int16'


@dataclass(frozen=True)
class Problem:
    """Why a device leaves operators to the CPU, or refuses them, and what to do about it.

    Attributes:
        operator: "CONV_2D", ...
        count: how many of the file's have it.
        reason: what the device does not take.
        cure: what to change.
    """

    operator: str
    count: int
    reason: str
    cure: str


@dataclass(frozen=True)
class Support:
    """What one device runs of a file.

    Attributes:
        device: its name.
        evidence: "measured", "compiled" or "documented".
        source: the command that measured or compiled, or the address of the document.
        date: of the measurement, or on which the document was read; YYYY-MM-DD.
        taken: name of an operator -> how many of the file's the device runs.
        total: the same names -> how many there are.
        problems: why the others are not run, each with its cure.
        rest: what becomes of them.
        note: what else the evidence says.
    """

    device: str
    evidence: str
    source: str
    date: str
    taken: dict[str, int]
    total: dict[str, int]
    problems: tuple[Problem, ...]
    rest: str
    note: str = ""

    @property
    def share(self) -> float:
        """Share of the file's operators that the device runs, in [0, 1]."""
        return sum(self.taken.values()) / max(sum(self.total.values()), 1)


class CpuOperator(Protocol):
    """An operator that a compiler leaves to the CPU."""

    name: str
    reason: str


class Compilation(Protocol):
    """What Vela, the Ethos-U compiler, says of a file."""

    accelerator: str
    version: str
    inference_ms: float
    cpu_operators: Sequence[CpuOperator]


def documented(device: Device, nodes: Sequence[Node]) -> Support:
    """What a device's documentation says about the operators of a file."""
    found: Counter[tuple[str, str, str]] = Counter()
    taken: Counter[str] = Counter()
    for node in nodes:
        findings = _findings(device, node)
        taken[node.name] += not findings
        found.update((node.name, *finding) for finding in findings)
    problems = (Problem(name, n, reason, cure) for (name, reason, cure), n in found.items())
    return Support(
        device=device.name,
        evidence=DOCUMENTED,
        source=device.source,
        date=device.read,
        taken=dict(taken),
        total=_count(nodes),
        problems=tuple(problems),
        rest=device.rest,
    )


def measured(inspection: Inspection, nodes: Sequence[Node], command: str, date: str) -> Support:
    """What XNNPACK took of a file when LiteRT loaded it on this machine."""
    total, left = _count(nodes), Counter(inspection.not_delegated)
    wide = {node.name for node in nodes if any(t.dtype == "int16" for t in node.outputs)}
    problems = []
    for name, count in left.items():
        cure = _XNNPACK_CURES.get(name, CURES.get(name, OTHER_CURE))
        cure = _INT16_CURE if name in wide else cure
        problems.append(Problem(name, count, "left to LiteRT's built-in kernels", cure))
    plural = "s" * (inspection.partitions != 1)
    return Support(
        device="XNNPACK (CPU)",
        evidence=MEASURED,
        source=command,
        date=date,
        taken={name: count - left[name] for name, count in total.items()},
        total=total,
        problems=tuple(problems),
        rest="runs on the same CPU, in slower kernels",
        note=f"{inspection.partitions} partition{plural}",
    )


def compiled(device: Device, vela: Compilation, nodes: Sequence[Node], date: str) -> Support:
    """What a compiler made of a file, in place of the documentation."""
    total, left = _count(nodes), Counter(each.name for each in vela.cpu_operators)
    reasons = Counter((each.name, each.reason or _NOT_LISTED) for each in vela.cpu_operators)
    cures = {problem.operator: problem.cure for problem in documented(device, nodes).problems}
    return Support(
        device=device.name,
        evidence=COMPILED,
        source=f"vela --accelerator-config {vela.accelerator} (Vela {vela.version})",
        date=date,
        taken={name: count - left[name] for name, count in total.items()},
        total=total,
        problems=tuple(
            Problem(name, count, reason, cures.get(name, CURES.get(name, OTHER_CURE)))
            for (name, reason), count in reasons.items()
        ),
        rest=device.rest,
        note=f"{vela.inference_ms:.3g} ms by Vela's estimate",
    )


def all_devices(
    inspection: Inspection,
    nodes: Sequence[Node],
    command: str,
    date: str,
    vela: Compilation | None = None,
) -> tuple[Support, ...]:
    """XNNPACK as measured, then the documented devices; Ethos-U as compiled where it was."""
    rows = [measured(inspection, nodes, command, date)]
    for device in DEVICES:
        if vela is not None and device.key == "ethos_u":
            rows.append(compiled(device, vela, nodes, date))
        else:
            rows.append(documented(device, nodes))
    return tuple(rows)


def _findings(device: Device, node: Node) -> list[tuple[str, str]]:
    """What the device has against a node; of rules for all operators the first one counts."""
    for rule in device.rules:
        finding = rule(node)
        if finding:
            return [finding]
    if node.name not in device.operators:
        return [(_NOT_LISTED, CURES.get(node.name, OTHER_CURE))]
    return [finding for rule in device.operators[node.name] if (finding := rule(node))]


def _count(nodes: Sequence[Node]) -> dict[str, int]:
    return dict(Counter(node.name for node in nodes))
