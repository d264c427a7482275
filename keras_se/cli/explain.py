"""`keras-se explain`."""

from pathlib import Path

from ..picture_folders import check_outside
from ._command import Command
from ._console import print_json, working
from ._files import check_output_folder
from ._models import load_model
from ._pictures import add_pictures_argument, check_pictures
from ._preprocess import add_preprocess_argument, preprocess_of

DETAILS = """\
Writes what the model has: excitations.png (mean and spread of the gates by class),
kernels.png (selective kernels by size of object), spatial.png (spatial gates over the
pictures), grad_cam.png (where the class is seen) and, where --data has one folder per
class, sensitivity.png (accuracy with the gates of one stage at their mean). Needs the extra:
pip install "keras-se[plot]".
"""

EXAMPLES = """\
  keras-se explain model.keras --data pictures/ -o figures/
  keras-se explain model.keras --data pictures/ -o figures/ --shown 6 --json
"""


def _add_arguments(parser):
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="what model.save wrote")
    add_pictures_argument(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        required=True,
        help="folder for the figures; it is made",
    )
    parser.add_argument(
        "--shown",
        type=int,
        metavar="N",
        default=4,
        help="pictures under maps (default: %(default)s)",
    )
    add_preprocess_argument(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace figures that exist")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def _run(arguments):
    if arguments.shown < 1:
        raise ValueError(f"--shown must be at least 1. Received: {arguments.shown}")
    check_output_folder(arguments.output)
    check_pictures(arguments.data)
    check_outside(arguments.output, arguments.data)
    from ..plots import check_matplotlib

    check_matplotlib()
    with working("loading the model"):
        model = load_model(arguments.model)
        from ..explain.report import explain_folder
    preprocess = preprocess_of(model, arguments.preprocess)
    with working("running it on the pictures"):
        result = explain_folder(
            model,
            arguments.data,
            arguments.output,
            preprocess=preprocess,
            shown=arguments.shown,
            overwrite=arguments.overwrite,
        )
    if arguments.json:
        print_json(result.to_dict())
    else:
        print(result)


COMMAND = Command(
    name="explain",
    summary="draw what the attention of a model does on pictures",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
