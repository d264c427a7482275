"""From a Keras 3 image model to a .tflite file that was run before it is returned.

`convert` makes and checks the file, `compare` measures it on pictures, `inspect` lists what
is inside, `report` puts all that can be measured on one page, `quantize_aware` trains for the
rounding of int8 first, `to_onnx` makes an ONNX file of a model or of a .tflite file. TensorFlow
is imported when a model is converted, not before.
"""

from .accuracy.compare import compare
from .accuracy.comparison import Comparison
from .accuracy.gates import Gate
from .accuracy.layerwise import LayerError
from .bounds import Bounds, Choice
from .c_array import c_name, to_c_array
from .convert import convert
from .file.inspect import Inspection, Operator, inspect
from .file.label_file import read_labels
from .file.run import Runner, TensorInfo
from .inputs.images import Images, load_images
from .inputs.preprocess import Preprocess
from .lowering.lower import lower
from .metadata import add_metadata
from .onnx_export import OnnxResult, to_onnx
from .passes import Lowering
from .qat.aware import quantize_aware
from .qat.quantize import calibrate_ranges, strip
from .recipe import RECIPES, Recipe, get_recipe
from .report import FileReport, report
from .result import BoundNotMet, Report, Result
from .tfmot import Tuned, Tuning, cluster, compressed_size_bytes, prune
from .vela import ACCELERATORS, CpuOperator, VelaReport, vela

__all__ = [
    "ACCELERATORS",
    "RECIPES",
    "BoundNotMet",
    "Bounds",
    "Choice",
    "Comparison",
    "CpuOperator",
    "FileReport",
    "Gate",
    "Images",
    "Inspection",
    "LayerError",
    "Lowering",
    "OnnxResult",
    "Operator",
    "Preprocess",
    "Recipe",
    "Report",
    "Result",
    "Runner",
    "TensorInfo",
    "Tuned",
    "Tuning",
    "VelaReport",
    "add_metadata",
    "c_name",
    "calibrate_ranges",
    "cluster",
    "compare",
    "compressed_size_bytes",
    "convert",
    "get_recipe",
    "inspect",
    "load_images",
    "lower",
    "prune",
    "quantize_aware",
    "read_labels",
    "report",
    "strip",
    "to_c_array",
    "to_onnx",
    "vela",
]
