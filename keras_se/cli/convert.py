"""`keras-se convert`."""

from pathlib import Path

from ._command import Command
from ._console import print_json, working
from ._files import check_input, check_output, read_lines
from ._flags import with_flags
from ._models import add_input_size_argument, load_model
from ._pictures import check_pictures
from ._preprocess import add_preprocess_argument, preprocess_of

DETAILS = """\
The file is run in the LiteRT interpreter beside the Keras model before it is written,
on the pictures of --calibration (on noise without), and the comparison is printed.

recipes:
  float32         the Keras model as it is; the reference
  float16         half the size; runs in float16 on a GPU
  dynamic_int8    a quarter of the size, no pictures needed
  static_int8     smallest and fastest; integers only, for CPU and NPU
  mixed_int8      as fast on a CPU; small gates keep their value, in float
  static_int16x8  integers only, near float's accuracy; slow on a CPU, for some NPUs
  auto            the fastest of them, except static_int16x8, that keeps the bounds below
                  (default: --min-agreement 0.99, or --min-snr-db 30 where there are no classes)
"""

EXAMPLES = """\
  keras-se convert model.keras --calibration pictures/ -o model.tflite
  keras-se convert model.keras --recipe float16 -o model.tflite
  keras-se convert model.keras --calibration pictures/ --labels names.txt -o model.tflite
  keras-se convert model.keras --calibration pictures/ --io int8 --c-array -o model.tflite
"""


def _add_arguments(parser):
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="what model.save wrote")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", required=True, help="file to write, .tflite"
    )
    parser.add_argument(
        "--recipe", metavar="RECIPE", default="static_int8", help="see above (default: %(default)s)"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="a few hundred typical pictures, PNG or JPEG, directly in the folder or in one "
        "folder per class; resized to the model's input; static_int8, mixed_int8, static_int16x8 "
        "and auto need them",
    )
    parser.add_argument(
        "--io",
        choices=("uint8", "int8", "int16", "float32"),
        help="dtype of the file's input and output: any but int16 for static_int8 and mixed_int8 "
        "(default: uint8), int16 or float32 for static_int16x8, float32 for the others (default: "
        "float32)",
    )
    parser.add_argument("--logits", action="store_true", help="leave a final softmax out")
    add_preprocess_argument(parser)
    add_input_size_argument(parser)
    parser.add_argument(
        "--min-snr-db", type=float, metavar="DB", help="refuse a file with a lower SNR"
    )
    parser.add_argument(
        "--min-agreement",
        type=float,
        metavar="SHARE",
        help="refuse a file with a lower top-1 agreement, in [0, 1]",
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=float,
        metavar="SHARE",
        help="refuse a file whose top-1 accuracy is more than that lower than the Keras model's, "
        "in [0, 1); needs one folder per class",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="names of the classes, one a line in the order of the outputs, to put into the file, "
        "so that an app's image classifier (MediaPipe Tasks) loads it as it is (default: those "
        "that the model knows, as one of `keras-se train` does)",
    )
    parser.add_argument(
        "--c-array",
        action="store_true",
        help="write the file as a C header too, beside it, for TensorFlow Lite for "
        "Microcontrollers",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace the output")


def _run(arguments):
    read = (arguments.model, arguments.labels)
    check_output(arguments.output, arguments.overwrite, *read, suffix=".tflite")
    header = arguments.output.with_suffix(".h")
    if arguments.c_array:
        check_output(header, arguments.overwrite, *read, arguments.output)
    labels = None if arguments.labels is None else read_lines(arguments.labels)
    check_input(arguments.model)
    check_pictures(arguments.calibration, "calibration")
    with working("loading TensorFlow"):
        from .. import tflite
        from ..tflite.recipe import check_recipe
    check_recipe(arguments.recipe)
    with working("loading the model"):
        model = load_model(arguments.model)
    with working(f"converting {model.name} to {arguments.recipe}"):
        result = tflite.convert(
            model,
            arguments.recipe,
            arguments.calibration,
            io=arguments.io,
            logits=arguments.logits,
            preprocess=preprocess_of(model, arguments.preprocess),
            input_size=arguments.input_size,
            min_snr_db=arguments.min_snr_db,
            min_agreement=arguments.min_agreement,
            max_accuracy_drop=arguments.max_accuracy_drop,
            labels=labels,
        )
    result.save(arguments.output, arguments.overwrite)
    if arguments.c_array:
        from ..files import write_whole

        name = tflite.c_name(arguments.output.stem)
        write_whole(header, tflite.to_c_array(result.model, name).encode())
    if arguments.json:
        written = {"file": str(arguments.output)}
        if arguments.c_array:
            written["c_array"] = str(header)
        print_json(written | result.to_dict())
        return
    print(with_flags(str(result.report), arguments.flags))
    print(f"wrote {arguments.output} ({result.recipe.name}; input: {_input(result.report)})")
    if arguments.c_array:
        print(f"wrote {header} ({name}, {name}_len)")


def _input(report) -> str:
    """What an app feeds the file."""
    (tensor,) = report.inspection.inputs
    if not report.preprocess:
        return f"what the model takes, {tensor.dtype}"
    if tensor.dtype == "int8":
        return "raw pixels minus 128, int8"
    divided = "" if tensor.scale in (None, 1) else f" divided by {tensor.scale:.4g}"
    return f"raw pixels in [0, 255]{divided}, {tensor.dtype}"


COMMAND = Command(
    name="convert",
    summary="convert a Keras model to a .tflite file, and measure what was lost",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
