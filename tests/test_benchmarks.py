"""What a benchmark says of itself before it is run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_opens_with_command_machine_cost_and_outcome(path):
    title, empty, *header = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()
    assert title.endswith(".") and empty == ""
    fields = [line.partition(":")[0] for line in header[: header.index("")] if line[:1] != " "]
    assert fields == ["Command", "Machine", "Cost", "Expected"]
    assert f"python benchmarks/{path.name}" in "".join(header)


IN_TEXT = re.compile(r"`python (benchmarks/\w+\.py)([^`]*)`")
IN_LINE = re.compile(r"python (benchmarks/\w+\.py)([^`#\n]*)")
PAGES = [ROOT / "README.md", ROOT / "benchmarks/checkpoints/README.md", *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("path", [*BENCHMARKS, *PAGES], ids=lambda path: path.stem)
def test_the_commands_that_are_given_have_their_flags(path):
    """In the pages, and in the headers of the benchmarks themselves."""
    text = re.sub(r"\\\n", " ", path.read_text("utf-8"))
    for script, words in IN_TEXT.findall(text) + IN_LINE.findall(text):
        nodes = ast.walk(ast.parse((ROOT / script).read_text("utf-8")))
        known = {node.value for node in nodes if isinstance(node, ast.Constant)}
        given = re.findall(r"--[a-z][\w-]*", words)
        assert set(given) <= known, f"{path.name}: {script} {words}"
