"""`keras-se models`."""

from ._command import Command
from ._console import print_json, working

DETAILS = """\
Variants, trainable parameters and multiply-accumulates of one picture. The first variant of
a network is the one that is built when none is asked for.
"""

EXAMPLES = """\
  keras-se models
  keras-se models --json
"""


def _add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def _run(arguments):
    with working("loading the networks"):
        from ..applications import registry
    if arguments.json:
        print_json([row for name in registry.MODELS for row in _rows(name, registry.MODELS[name])])
    else:
        print(registry.summary_table())


def _rows(name, constructor) -> list[dict]:
    spec = constructor.spec
    return [
        {
            "name": name,
            "variant": variant,
            "size": spec.size,
            "parameters": figures.parameters,
            "gmacs": figures.gmacs,
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
