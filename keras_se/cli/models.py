"""`keras-se models`."""

from fnmatch import fnmatchcase

from ..names import expected
from ._command import Command
from ._console import print_json, working

DETAILS = """\
Variants, trainable parameters, multiply-accumulates of one picture, and the names of the
published weights, the most accurate first. The first variant of a network is the one that is
built when none is asked for.
"""

EXAMPLES = """\
  keras-se models
  keras-se models "se*50"
  keras-se models --json
"""


def _add_arguments(parser):
    parser.add_argument(
        "pattern",
        nargs="?",
        metavar="PATTERN",
        default="*",
        help="part of a name, or a whole one with * and ?, in upper or lower case",
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def _run(arguments):
    with working("loading the networks"):
        from ..applications import registry
    names = _matching(arguments.pattern, registry.MODELS)
    if arguments.json:
        print_json([row for name in names for row in _rows(name, registry.MODELS[name])])
    else:
        print(registry.summary_table(names))


def _matching(pattern: str, names) -> list[str]:
    """The names that match; ValueError where there is none."""
    whole = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    found = [name for name in names if fnmatchcase(name.lower(), whole.lower())]
    if not found:
        raise ValueError(
            f"No network matches {pattern!r}; {expected(pattern, names, 'keras-se models')}"
        )
    return found


def _rows(name, constructor) -> list[dict]:
    from ..applications.weights.table import published_weights

    spec = constructor.spec
    return [
        {
            "name": name,
            "variant": variant,
            "size": spec.size,
            "parameters": figures.parameters,
            "gmacs": figures.gmacs,
            "weights": [weights.tag for weights in published_weights(name, variant)],
        }
        for variant, figures in spec.variants.items()
    ]


COMMAND = Command(
    name="models",
    summary="list the networks of keras_se.applications",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
