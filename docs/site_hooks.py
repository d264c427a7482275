"""What mkdocs does besides: the packages laid out as installed, MathML, figures, help texts."""

import ast
import html
import re
import shutil
import sys
import textwrap
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "build" / "docs-source"
MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
FIGURE = re.compile(r'<img alt="([^"]*)" src="[^"]*figures/([\w-]+\.svg)" ?/?>')
DARK = re.compile(r"@media \(prefers-color-scheme:dark\)\{(svg\.kse\{.*?\})\}", re.DOTALL)
TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)


def on_startup(command, dirty):
    """Before mkdocstrings looks whether its `paths` exist."""
    lay_out_packages()


def on_pre_build(config):
    """Again at each build of `mkdocs serve`."""
    lay_out_packages()


def lay_out_packages():
    """Copy the packages to where they are when installed, for mkdocstrings to read."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "keras_se", SOURCE / "keras_se", ignore=ignored)
    for name in ("applications", "tflite"):
        shutil.copytree(ROOT / name, SOURCE / "keras_se" / name, ignore=ignored)


def on_page_markdown(markdown, page, config, files):
    """`{{ help COMMAND }}` and `{{ constructor arguments }}`, read from the source."""
    markdown = re.sub(r"^\{\{ help (\w+) \}\}$", lambda m: _help(m[1]), markdown, flags=re.M)
    return markdown.replace("{{ constructor arguments }}", _constructor_arguments())


def on_page_content(content, page, config, files):
    """Equations as MathML, which browsers draw themselves; diagrams in the page's colours."""
    content = MATH.sub(_mathml, content)
    content = FIGURE.sub(_inline, content)
    return TABLE.sub(r'<div class="scroll">\g<0></div>', content)


def _mathml(match):
    display = "block" if match[2] == "[" else "inline"
    math = convert(html.unescape(match[3]).strip(), display=display)
    return f'<div class="scroll">{math}</div>' if display == "block" else math


def _inline(match):
    """The diagram with the dark colours of the page's switch in place of the system's."""
    svg = (ROOT / "docs" / "figures" / match[2]).read_text()
    switched, count = DARK.subn(r'[data-md-color-scheme="slate"] \1', svg)
    if count != 1:
        raise ValueError(f"{match[2]} has {count} sets of dark colours; expected 1")
    return switched.strip()


def _help(name):
    """What `keras-se NAME --help` prints; the parser needs neither Keras nor TensorFlow."""
    sys.path.insert(0, str(ROOT))
    sys.argv[0] = "keras-se"  # see keras_se._is_command
    from keras_se.cli import COMMANDS, make_parser

    parser = make_parser(COMMANDS, "")
    [commands] = parser._subparsers._group_actions
    return f"```text\n{commands.choices[name].format_help()}```"


def _constructor_arguments():
    """The part of a network's docstring that all of them share, for SEResNet50."""
    tree = ast.parse((ROOT / "applications/construction/constructor_help.py").read_text())
    [text] = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "ARGUMENTS"
    )
    filled = text.format(
        name="seresnet50",
        size=224,
        min_size=32,
        classes=1000,
        variants=["v1.5", "original", "keras"],
        weights='"imagenet" for the best\n            published ones, or one of them by name;\n'
        "            ",
    )
    return f"```text\n{textwrap.dedent(filled.strip(chr(10)))}```"
