"""`keras-se inspect`."""

from pathlib import Path

from ._command import Command
from ._console import print_json, working
from ._files import check_input
from ._vela import add_vela_arguments, vela_of

DETAILS = """\
Lists inputs and outputs with their scales, the operators with versions and dtypes, and
what of it runs in XNNPACK. Any .tflite file will do. With --vela, the file is compiled for
an Arm Ethos-U NPU too (pip install "keras-se[vela]"): what it runs, what stays on the CPU and
why, memory and estimated time.
"""

EXAMPLES = """\
  keras-se inspect model.tflite
  keras-se inspect model.tflite --json
  keras-se inspect model.tflite --vela --accelerator ethos-u85-256
"""


def _add_arguments(parser):
    parser.add_argument("file", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--json", action="store_true", help="print the contents as JSON")
    add_vela_arguments(parser)


def _run(arguments):
    check_input(arguments.file)
    with working("reading the file"):
        from .. import tflite

        inspection = tflite.inspect(arguments.file)
    report = vela_of(arguments)
    if arguments.json:
        print_json(inspection.to_dict() | ({"vela": report.to_dict()} if report else {}))
    else:
        print(inspection)
        if report:
            print(report)


COMMAND = Command(
    name="inspect",
    summary="show what is inside a .tflite file",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
