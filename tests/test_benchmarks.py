"""What a benchmark says of itself, and pages of it, before it is run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
COMMAND = re.compile(r"python (benchmarks/\w+\.py)((?:\\\n|[^`\n]|\n(?=[^`\n]+`))*)")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_opens_with_command_machine_cost_and_outcome(path):
    title, empty, *header = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()
    assert title.endswith(".") and empty == ""
    fields = [line.partition(":")[0] for line in header[: header.index("")] if line[:1] != " "]
    assert fields == ["Command", "Machine", "Cost", "Expected"]
    assert f"python benchmarks/{path.name}" in "".join(header)


def commands():
    """Script and options of every command that a page or a header names: in a block, or `inline`.

    An inline one may go on in the next line, one in a block behind a backslash.
    """
    pages = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/**/*.md"), *ROOT.glob("docs/**/*.md")]
    for page in [*pages, *BENCHMARKS]:
        for script, arguments in COMMAND.findall(page.read_text("utf-8")):
            yield page.relative_to(ROOT), script, set(re.findall(r"(?<!\S)--[a-z-]+", arguments))


def options(script):
    calls = (node for node in ast.walk(ast.parse(script.read_text("utf-8"))))
    calls = (node for node in calls if isinstance(node, ast.Call))
    calls = (node for node in calls if getattr(node.func, "attr", "") == "add_argument")
    return {ast.literal_eval(name) for call in calls for name in call.args}


def test_the_commands_of_the_pages_have_their_options():
    found = list(commands())
    assert len(found) > 30 and sum(bool(used) for *_, used in found) > 15
    for page, script, used in found:
        assert (ROOT / script).exists(), page
        assert used <= options(ROOT / script), (page, script)
