"""`keras-se compare`."""

from pathlib import Path

from ._command import Command
from ._console import print_json, working
from ._files import check_input
from ._latency import add_latency_arguments
from ._models import load_model
from ._pictures import add_pictures_argument, check_pictures
from ._preprocess import add_preprocess_argument, preprocess_of

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
    add_pictures_argument(parser)
    add_preprocess_argument(parser)
    add_latency_arguments(parser, runs=100)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _run(arguments):
    check_input(arguments.file)
    check_pictures(arguments.data)
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
