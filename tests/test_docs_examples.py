"""The code in README and documentation runs, its commands parse, and its pages are complete.

A comment before a block says what it is: `<!-- slow -->`, or `<!-- not run: REASON -->`.
"""

import contextlib
import doctest
import importlib.util
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_se
from keras_se import applications, tflite
from keras_se.cli import COMMANDS
from keras_se.cli._command import make_parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
}
BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?(?P<indent> *)```(?P<language>\w+)\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SHELL = ("sh", "console")


def blocks(path, *languages):
    """(note, language, code, line) of the blocks of a page in these languages."""
    text = path.read_text()
    for match in BLOCK.finditer(text):
        if match["language"] in languages:
            line = text.count("\n", 0, match.start("code"))
            yield match["note"] or "", match["language"], match["code"], line


def pages_with(*languages):
    return [name for name, path in PAGES.items() if any(blocks(path, *languages))]


def load(name):
    """A module among the pages."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A working folder with small pictures of two classes in pictures/."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number in range(24):
        folder = tmp_path / "pictures" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (32, 32, 3), "uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")


def run_page(name, slow):
    """Run the blocks of a page one after the other, in one namespace."""
    namespace = {"__name__": name, "keras_se": keras_se}
    for note, language, code, line in blocks(PAGES[name], "python", "pycon"):
        source = "\n" * line + code  # errors name the line of the page
        if note.startswith("not run: "):
            compile(source, name, "exec")
        elif slow or note != "slow":
            run_block(source, language, name, line, namespace)


def run_block(source, language, name, line, namespace):
    if language == "python":
        exec(compile(source, name, "exec"), namespace)
        return
    parsed = doctest.DocTestParser().get_doctest(source, namespace, name, name, 0)
    assert parsed.examples, f"{name}:{line}: nothing to run"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = doctest.DocTestRunner().run(parsed, clear_globs=False)
    assert not result.failed, printed.getvalue()
    namespace.update(parsed.globs)


def is_slow(name):
    return any(note == "slow" for note, *_ in blocks(PAGES[name], "python", "pycon"))


@pytest.mark.parametrize("name", pages_with("python", "pycon"))
def test_the_code_of_a_page_runs(name, pictures):
    run_page(name, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PAGES if is_slow(name)])
def test_all_code_of_a_page_runs(name, pictures):
    run_page(name, slow=True)


@pytest.mark.parametrize("name", pages_with(*SHELL))
def test_the_commands_of_a_page_parse(name):
    parser = make_parser(COMMANDS, "")
    for note, _, code, line in blocks(PAGES[name], *SHELL):
        if note.startswith("check: "):
            continue
        for command in code.replace("\\\n", " ").splitlines():
            words = shlex.split(command, comments=True)
            if words and words[0].endswith("keras-se"):
                try:
                    parser.parse_args(words[1:])
                except SystemExit:
                    pytest.fail(f"{name}:{line}: {command}")


def test_the_page_of_the_command_line_has_every_command():
    page = (DOCS / "reference" / "command-line.md").read_text()
    assert set(re.findall(r"{{ help (\w+) }}", page)) == {command.name for command in COMMANDS}


def test_the_diagrams_are_current(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    generate = load("generate_figures")
    files = {path.stem: path.read_text() for path in generate.FOLDER.glob("*.svg")}
    drawn = {name: generate.draw(figure) for name, figure in generate.FIGURES.items()}
    assert files == drawn, "run `python docs/generate_figures.py`"


def test_the_table_of_the_layers_is_current():
    table = load("generate_layer_table")
    assert set(table.PAGES) == {*keras_se.layers.GATES, *keras_se.layers.CONVS}
    page = table.PAGE.read_text()
    for name in table.PAGES:
        assert f"\n{table.cells(name)}" in page, "run `python docs/generate_layer_table.py`"


def documented():
    """The objects that the pages render from their docstrings, by their last name."""
    text = "\n".join(path.read_text() for path in PAGES.values())
    return {path.rpartition(".")[2] for path in re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("package", ["layers", "training", "explain", "tflite", "surgery"])
def test_every_public_name_is_in_the_reference(package):
    module = tflite if package == "tflite" else getattr(keras_se, package)
    objects = {name for name in module.__all__ if callable(getattr(module, name))}
    assert objects - documented() == set()


def test_every_public_name_of_the_applications_is_in_the_reference():
    """Networks stand in models.md, and their shared arguments in the reference."""
    functions = {name for name in applications.__all__ if callable(getattr(applications, name))}
    assert functions - {*applications.list_models(), "SKResNeXt50"} - documented() == set()


def test_every_architecture_of_timm_has_its_line():
    page = (DOCS / "migration" / "timm.md").read_text()
    elsewhere = ("cbam_", "qubvel_")  # the authors' and qubvel's
    for name in applications.ARCHITECTURES:
        assert f"`{name}`" in page or name.startswith(elsewhere), name
