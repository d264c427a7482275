"""What a benchmark says of itself before it is run."""

import ast
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_opens_with_command_machine_cost_and_outcome(path):
    title, empty, *header = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()
    assert title.endswith(".") and empty == ""
    fields = [line.partition(":")[0] for line in header[: header.index("")] if line[:1] != " "]
    assert fields == ["Command", "Machine", "Cost", "Expected"]
    assert f"python benchmarks/{path.name}" in "".join(header)
