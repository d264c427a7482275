"""`keras-se inspect`."""

from pathlib import Path

from ._arguments import check_input
from ._command import Command
from ._console import print_json, working

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
    parser.add_argument("--vela", action="store_true", help="compile it for an Ethos-U NPU")
    parser.add_argument(
        "--accelerator",
        default="ethos-u55-128",
        metavar="NPU",
        help="of --vela, with its multiply-accumulates per cycle (default: %(default)s)",
    )


def _run(arguments):
    check_input(arguments.file)
    with working("reading the file"):
        from .. import tflite

        inspection = tflite.inspect(arguments.file)
    report = None
    if arguments.vela:
        with working(f"compiling for {arguments.accelerator}"):
            report = tflite.vela(arguments.file, arguments.accelerator)
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
