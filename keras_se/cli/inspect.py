"""`keras-se inspect`."""

from pathlib import Path

from ._arguments import check_input
from ._command import Command
from ._console import print_json, working

DETAILS = """\
Lists inputs and outputs with their scales, the operators with versions and dtypes, and
what of it runs in XNNPACK. Any .tflite file will do.
"""

EXAMPLES = """\
  keras-se inspect model.tflite
  keras-se inspect model.tflite --json
"""


def _add_arguments(parser):
    parser.add_argument("file", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--json", action="store_true", help="print the contents as JSON")


def _run(arguments):
    check_input(arguments.file)
    with working("reading the file"):
        from .. import tflite

        inspection = tflite.inspect(arguments.file)
    if arguments.json:
        print_json(inspection.to_dict())
    else:
        print(inspection)


COMMAND = Command(
    name="inspect",
    summary="show what is inside a .tflite file",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
