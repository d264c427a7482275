"""`keras-se onnx`."""

from pathlib import Path

from ._command import Command
from ._console import print_json, working
from ._files import check_input, check_output
from ._models import add_input_size_argument, load_model
from ._pictures import ANY_FOLDER, add_pictures_argument, check_pictures
from ._preprocess import PREPROCESS, add_preprocess_argument, preprocess_of

DETAILS = """\
A Keras model is exported in float32; a .tflite file keeps its number format, int8 as
QuantizeLinear / DequantizeLinear. The ONNX file is checked and run in onnxruntime beside its
source before it is written. Needs the extra: pip install "keras-se[onnx]".
"""

EXAMPLES = """\
  keras-se onnx model.keras -o model.onnx
  keras-se onnx model.keras --layout nchw --data pictures/ -o model.onnx
  keras-se onnx model.tflite --data pictures/ -o model.onnx
"""


def _add_arguments(parser):
    parser.add_argument("model", type=Path, metavar="MODEL", help=".keras or .tflite")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", required=True, help="file to write, .onnx"
    )
    parser.add_argument(
        "--layout",
        choices=("nhwc", "nchw"),
        default="nhwc",
        help="order of the input's axes (default: %(default)s, as in Keras)",
    )
    parser.add_argument(
        "--opset", type=int, metavar="N", default=17, help="13 to 18 (default: %(default)s)"
    )
    add_pictures_argument(parser, f"to compare on (default: noise): {ANY_FOLDER}", required=False)
    parser.add_argument(
        "--logits", action="store_true", help="leave a final softmax out of a .keras model"
    )
    add_preprocess_argument(parser)
    add_input_size_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace the output")


def _run(arguments):
    check_output(arguments.output, arguments.overwrite, arguments.model, suffix=".onnx")
    check_input(arguments.model)
    check_pictures(arguments.data)
    with working("loading the model"):
        from .. import tflite

        if arguments.model.suffix == ".tflite":
            if arguments.preprocess not in (None, "none"):
                flag, _ = PREPROCESS[arguments.preprocess]
                raise ValueError(f"{flag}: a .tflite file is exported as it is")
            model, preprocess = arguments.model, None
        else:
            model = load_model(arguments.model)
            preprocess = preprocess_of(model, arguments.preprocess)
    with working(f"exporting {arguments.model.name}"):
        result = tflite.to_onnx(
            model,
            arguments.output,
            arguments.opset,
            arguments.layout,
            preprocess=preprocess,
            logits=arguments.logits,
            input_size=arguments.input_size,
            images=arguments.data,
            overwrite=arguments.overwrite,
        )
    if arguments.json:
        print_json(result.to_dict())
    else:
        print(result)
        print(f"wrote {result.path}")


COMMAND = Command(
    name="onnx",
    summary="export a Keras model or a .tflite file to ONNX, run before it is written",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
