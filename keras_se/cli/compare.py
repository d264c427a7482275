"""`keras-se compare`."""

from pathlib import Path

from ._arguments import (
    add_preprocess_argument,
    check_input,
    load_model,
    preprocess_of,
)
from ._command import Command
from ._console import print_json, working

DETAILS = """\
Prints the agreement of the top-1 classes, the signal-to-noise ratio, the largest and the
mean error, and the latency; the accuracy too, where --data has one folder per class.
"""

EXAMPLES = """\
  keras-se compare model.keras model.tflite --data pictures/
  keras-se compare model.keras model.tflite --data pictures/ --json
"""


def _add_arguments(parser):
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="what model.save wrote")
    parser.add_argument("file", type=Path, metavar="MODEL.tflite", help="what it was converted to")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        required=True,
        help="pictures, PNG or JPEG, directly in the folder or in one folder per class; "
        "resized to the model's input",
    )
    add_preprocess_argument(parser)
    parser.add_argument(
        "--runs", type=int, default=100, help="runs behind the latency (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="of the interpreter (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _run(arguments):
    check_input(arguments.file)
    with working("loading the model"):
        model = load_model(arguments.model)
        from .. import tflite
    with working("running both on the pictures"):
        comparison = tflite.compare(
            model,
            arguments.file,
            arguments.data,
            preprocess=preprocess_of(model, arguments.preprocess),
            runs=arguments.runs,
            num_threads=arguments.threads,
        )
    if arguments.json:
        print_json(comparison.to_dict())
    else:
        print(comparison)


COMMAND = Command(
    name="compare",
    summary="run a Keras model and its .tflite file on the same pictures",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
