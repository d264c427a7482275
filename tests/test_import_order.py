"""No file imports what is built upon it, neither at its top nor inside a function."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "keras_se": "keras_se",
    "applications": "keras_se.applications",
    "tflite": "keras_se.tflite",
}


def modules():
    """Path of every module, by its installed name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def imported(name, path, known):
    """The modules that one of ours imports from the others."""
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            source = [*here[: len(here) - node.level + 1], *filter(None, [node.module])]
            for alias in node.names:
                inner = ".".join([*source, alias.name])
                yield inner if inner in known else ".".join(source)


def test_imports_make_no_circle():
    known = modules()
    graph = {name: set(imported(name, path, known)) - {name} for name, path in known.items()}
    assert sum(map(len, graph.values())) > 2 * len(known)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, with the circle
    assert set(order) >= set(known)
