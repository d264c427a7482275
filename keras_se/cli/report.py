"""`keras-se report`."""

import shlex
from pathlib import Path

from ._command import Command
from ._console import working
from ._files import check_input, check_output
from ._latency import add_latency_arguments
from ._models import load_model
from ._pictures import ANY_FOLDER, add_pictures_argument, check_pictures
from ._preprocess import add_preprocess_argument, preprocess_of
from ._vela import add_vela_arguments, vela_of

DETAILS = """\
Runs both on the pictures, the file layer by layer, with XNNPACK and without, and writes one
page: accuracy, agreement, the classes that changed, the pictures on which they disagree, the
layers that lose most, the gates, every recipe beside float32, the operators, and what XNNPACK,
GPUs, Edge TPU, Ethos-U, Core ML and TFLite Micro run of them. The page holds its pictures and
loads nothing. Minutes for a large model: it is converted by every recipe.
"""

EXAMPLES = """\
  keras-se report model.keras model.tflite --data pictures/
  keras-se report model.keras model.tflite --data pictures/ -o page.html --json page.json
  keras-se report model.keras model.tflite --data pictures/ --recipes float32 static_int8
"""


def _add_arguments(parser):
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="what model.save wrote")
    parser.add_argument("file", type=Path, metavar="FILE.tflite", help="what it was converted to")
    add_pictures_argument(parser, f"held-out {ANY_FOLDER}")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PAGE",
        default=Path("report.html"),
        help="page to write (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures too, as JSON")
    add_preprocess_argument(parser)
    parser.add_argument(
        "--recipes",
        nargs="+",
        metavar="RECIPE",
        help="to convert by, beside float32 (default: all)",
    )
    parser.add_argument(
        "--shown",
        type=int,
        metavar="N",
        default=24,
        help="pictures of disagreements in the page, at most (default: %(default)s)",
    )
    add_latency_arguments(parser, runs=25)
    add_vela_arguments(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the outputs")


def _run(arguments):
    check_input(arguments.file)
    check_pictures(arguments.data)
    outputs = [path for path in (arguments.output, arguments.json) if path is not None]
    for index, path in enumerate(outputs):
        read = (arguments.model, arguments.file)
        check_output(path, arguments.overwrite, *read, *outputs[:index])
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError('The page needs Jinja2: pip install "keras-se[report]"') from error
    with working("loading the model"):
        model = load_model(arguments.model)
        from .. import tflite
    vela_report = vela_of(arguments)
    with working("measuring the file"):
        report = tflite.report(
            model,
            arguments.file,
            arguments.data,
            preprocess=preprocess_of(model, arguments.preprocess),
            recipes=arguments.recipes or tuple(tflite.RECIPES),
            shown=arguments.shown,
            runs=arguments.runs,
            num_threads=arguments.threads,
            vela=vela_report,
            command=shlex.join(["keras-se", *arguments.words]),
        )
    report.save_html(arguments.output, arguments.overwrite)
    if arguments.json is not None:
        report.save_json(arguments.json, arguments.overwrite)
    print(report.comparison)
    for path in outputs:
        print(f"wrote {path}")


COMMAND = Command(
    name="report",
    summary="write a page about a .tflite file: accuracy, layers, recipes, devices",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
