"""What an Ethos-U NPU runs of a .tflite file: Vela, Arm's compiler, asked."""

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from .file import flatfile
from .file.run import read_model
from .result import Result

ACCELERATORS = (
    *(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)),
    *(f"ethos-u65-{macs}" for macs in (256, 512)),
    *(f"ethos-u85-{macs}" for macs in (128, 256, 512, 1024, 2048)),
)
_NPU_OPERATOR = "ethos-u"  # the custom operator that Vela puts in place of what it compiled
_MEMORIES = {
    "sram": ("sram_memory_used",),
    "dram": ("dram_memory_used",),
    "flash": ("on_chip_flash_memory_used", "off_chip_flash_memory_used"),
}
_REASON = re.compile(
    r"^Warning \(supported operators\) operator: \S+, ofm: '(.+)'\nReason: ((?:.+\n)+)",
    re.MULTILINE,
)
_TENSOR = re.compile(r" \([^()]*\)$", re.MULTILINE)  # at the end of a line of a reason


@dataclass(frozen=True)
class CpuOperator:
    """An operator that Vela leaves to the processor beside the NPU.

    Attributes:
        name: "SOFTMAX", ...
        output: name of the tensor that it makes.
        reason: Vela's, in its words; empty where it gives none.
    """

    name: str
    output: str
    reason: str


@dataclass(frozen=True)
class VelaReport:
    """What Vela makes of a file. Nothing ran: times and memory are the compiler's estimates.

    Attributes:
        accelerator: the NPU and its multipliers, one of `ACCELERATORS`.
        version: of ethos-u-vela.
        operators: number of operators in the file.
        cpu_operators: those that stay on the CPU.
        sram_bytes, dram_bytes, flash_bytes: memory in use, in Vela's default memory mode.
        inference_ms: time of one image on the NPU, without what stays on the CPU.
    """

    accelerator: str
    version: str
    operators: int
    cpu_operators: tuple[CpuOperator, ...]
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    inference_ms: float

    @property
    def npu_operators(self) -> int:
        """Number of the file's operators that run on the NPU."""
        return self.operators - len(self.cpu_operators)

    @property
    def npu_share(self) -> float:
        """The same as a share of all operators, in [0, 1]."""
        return self.npu_operators / self.operators

    def to_dict(self) -> dict:
        """The fields as a JSON-able dictionary."""
        return asdict(self) | {"npu_operators": self.npu_operators, "npu_share": self.npu_share}

    def __str__(self) -> str:
        memory = ", ".join(
            f"{size / 1024:.0f} KiB of {name}"
            for name, size in (
                ("SRAM", self.sram_bytes),
                ("DRAM", self.dram_bytes),
                ("flash", self.flash_bytes),
            )
            if size
        )
        lines = [
            f"{self.accelerator} (Vela {self.version}): {self.npu_operators} of {self.operators} "
            f"operators on the NPU ({self.npu_share:.1%})"
        ]
        if self.npu_operators:
            lines.append(f"estimated: {self.inference_ms:.3g} ms; {memory}")
        same = Counter((operator.name, operator.reason) for operator in self.cpu_operators)
        lines += [f"{n:5d} x {name} on the CPU: {why}" for (name, why), n in same.items()]
        return "\n".join(lines)


def vela(
    model: Result | bytes | str | os.PathLike, accelerator: str = "ethos-u55-128"
) -> VelaReport:
    """Compile a .tflite file for an Ethos-U NPU with Vela, and say what runs where.

    Args:
        model: a `Result`, or bytes or path of a .tflite file; `static_int8` is the recipe for
            this NPU.
        accelerator: one of `ACCELERATORS`: the NPU and its multiply-accumulates per cycle.

    Returns:
        A `VelaReport`.

    Raises:
        ImportError: without the extra `vela`.
        ValueError: for an unknown accelerator, or bytes that are no TFLite model.
        TypeError: for a model of another kind.
        FileNotFoundError: when there is no file at the path.
        RuntimeError: when Vela fails, with its last line.
    """
    if accelerator not in ACCELERATORS:
        raise ValueError(
            f"Unknown accelerator {accelerator!r}; expected one of {list(ACCELERATORS)}"
        )
    content = read_model(model)
    command = _command()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model.tflite")
        source.write_bytes(content)
        options = [str(source), "--accelerator-config", accelerator, "--output-dir", folder]
        said = _run([*command, *options])
        (summary,) = Path(folder).glob("*_summary_*.csv")
        (figures,) = csv.DictReader(summary.read_text().splitlines())
        compiled = Path(folder, "model_vela.tflite").read_bytes()
    memory = {
        f"{name}_bytes": round(1024 * sum(float(figures[column]) for column in columns))
        for name, columns in _MEMORIES.items()
    }
    return VelaReport(
        accelerator=accelerator,
        version=_run([*command, "--version"]).strip(),
        operators=sum(len(graph.operators) for graph in flatfile.unpack(content).subgraphs),
        cpu_operators=_cpu_operators(compiled, _reasons(said)),
        inference_ms=1e3 * float(figures["inference_time"]),
        **memory,
    )


def _command() -> list[str]:
    """How to call Vela: as a module of this Python, beside it, or from the search path."""
    if importlib.util.find_spec("ethosu") and importlib.util.find_spec("ethosu.vela"):
        return [sys.executable, "-m", "ethosu.vela"]
    beside = Path(sys.executable).with_name("vela")
    found = str(beside) if beside.exists() else shutil.which("vela")
    if found is None:
        raise ImportError('Vela is missing: pip install "keras-se[vela]"')
    return [found]


def _run(command: list[str]) -> str:
    """All that a command printed."""
    process = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if process.returncode != 0:
        last = (process.stdout.strip().splitlines() or ["it printed nothing"])[-1]
        raise RuntimeError(f"Vela failed with status {process.returncode}: {last}")
    return process.stdout


def _reasons(said: str) -> dict[str, str]:
    """Why an operator stays on the CPU, by the tensor that it makes."""
    return {
        output: "; ".join(_TENSOR.sub("", text).splitlines())
        for output, text in _REASON.findall(said)
    }


def _cpu_operators(compiled: bytes, reasons: dict[str, str]) -> tuple[CpuOperator, ...]:
    """What the compiled file holds beside the NPU's operator."""
    tree = flatfile.unpack(compiled)
    rows = []
    for graph in tree.subgraphs:
        for operator in graph.operators:
            name = flatfile.operator_name(tree, operator)
            if name != _NPU_OPERATOR:
                output = flatfile.tensor_name(graph.tensors[operator.outputs[0]])
                rows.append(CpuOperator(name, output, reasons.get(output, "")))
    return tuple(rows)
