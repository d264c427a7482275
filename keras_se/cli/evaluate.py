"""`keras-se evaluate`."""

from contextlib import contextmanager
from pathlib import Path

from ..names import counted
from ._command import Command
from ._console import print_json
from ._models import load_model
from ._pictures import add_pictures_argument, check_pictures
from ._preprocess import add_preprocess_argument, preprocess_of

DETAILS = """\
Prints top-1 and top-5 accuracy in percent. A network by name takes its published weights, and
the size, crop and filter they were measured with; ImageNet's validation pictures in folders
n01440764, ... then give the published figure. A file is measured with crop 1.0, as `keras-se
train` validates by default; after --preset finetune pass --crop 0.875. --state keeps what was
counted, so that an interrupted run resumes.
"""

EXAMPLES = """\
  keras-se evaluate SEResNet50 --data imagenet/val --state seresnet50.json
  keras-se evaluate SEResNet50 --weights a1_in1k --data imagenet/val --json
  keras-se evaluate model.keras --data pictures/
"""

FILE_CROP = 1.0  # FitSettings.validation_crop, what `fit` validates with by default


def _add_arguments(parser):
    parser.add_argument(
        "network", metavar="NAME|MODEL.keras", help="a network of `keras-se models`, or a file"
    )
    add_pictures_argument(parser, "one folder of pictures per class")
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="TAG|FILE",
        help="of a network by name (default: %(default)s)",
    )
    parser.add_argument("--variant", metavar="NAME", help="of a network by name")
    parser.add_argument(
        "--image-size",
        "--size",
        dest="size",
        type=int,
        metavar="PIXELS",
        help="height and width (default: the weights' or the file's own)",
    )
    parser.add_argument(
        "--crop",
        type=float,
        metavar="SHARE",
        help="part of the resized short side, in (0, 1] (default: the weights', else 0.875; "
        "for a file 1.0)",
    )
    parser.add_argument("--interpolation", metavar="FILTER", help="bicubic or bilinear")
    add_preprocess_argument(parser)
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="pictures at a time (default: 32)"
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="where to keep the count")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _run(arguments):
    if arguments.network.endswith(".tflite"):
        raise ValueError(
            "evaluate takes a .keras file or a network's name; for a .tflite file: keras-se "
            f"compare. Received: {arguments.network!r}"
        )
    check_pictures(arguments.data)
    is_file = arguments.network.endswith(".keras")
    network = load_model(Path(arguments.network)) if is_file else arguments.network
    from ..applications import evaluate

    preprocess, warning = None, None
    if is_file:
        preprocess, warning = _preprocess(network, arguments.preprocess)
        if arguments.crop is None:
            arguments.crop = FILE_CROP
    elif arguments.preprocess not in (None, "carried"):
        raise ValueError("A network by name normalises as its weights want; leave the flag out")
    options = ("weights", "variant", "size", "crop", "interpolation", "batch_size", "state")
    with _progress() as progress:
        evaluation = evaluate(
            network,
            arguments.data,
            preprocess=preprocess,
            progress=progress,
            **{name: getattr(arguments, name) for name in options},
        )
    if arguments.json:
        print_json(evaluation.as_dict() | {"warnings": [warning] if warning else []})
        return
    published = evaluation.published_top1
    print(f"{evaluation.network}, {counted(evaluation.images, 'picture')}")
    print(f"top-1  {evaluation.top1:.3f} %" + (f" (published {published} %)" if published else ""))
    print(f"top-5  {evaluation.top5:.3f} %")
    if evaluation.raw_pixels:
        print("pixels: raw, in [0, 255]")
    if warning:
        print(f"warning: {warning}")


def _preprocess(model, where):
    """What `evaluate` applies to raw pixels, and what speaks against relying on it."""
    from ..applications.evaluation.evaluate import check_network
    from ..applications.preprocessing import RAW
    from ..tflite.inputs.normalisation import INCLUDED, RAW_PIXELS, normalises

    check_network(model)
    found = preprocess_of(model, where)
    if found is None:
        return RAW, None if normalises(model) else RAW_PIXELS
    return (RAW if found == INCLUDED else found), None


@contextmanager
def _progress():
    """A bar on stderr where that is a terminal: yields what `evaluate` calls."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("evaluating", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


COMMAND = Command(
    name="evaluate",
    summary="measure the accuracy of a network on folders of pictures",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
