"""From a Keras 3 image model to a .tflite file that was run before it is returned.

`convert` makes and checks the file, `compare` measures it on pictures, `inspect` lists what
is inside, `to_onnx` makes an ONNX file of a model or of a .tflite file. TensorFlow is
imported when a model is converted, not before.
"""

from .c_array import c_name, to_c_array
from .compare import Comparison, compare
from .convert import convert
from .export_onnx import OnnxResult, to_onnx
from .images import Images, load_images
from .inspect import Inspection, Operator, inspect
from .lower import lower
from .metadata import add_metadata, read_labels
from .preprocess import Preprocess
from .recipe import RECIPES, Recipe, get_recipe
from .result import BoundNotMet, Report, Result
from .run import Runner, TensorInfo

__all__ = [
    "RECIPES",
    "BoundNotMet",
    "Comparison",
    "Images",
    "Inspection",
    "OnnxResult",
    "Operator",
    "Preprocess",
    "Recipe",
    "Report",
    "Result",
    "Runner",
    "TensorInfo",
    "add_metadata",
    "c_name",
    "compare",
    "convert",
    "get_recipe",
    "inspect",
    "load_images",
    "lower",
    "read_labels",
    "to_c_array",
    "to_onnx",
]
