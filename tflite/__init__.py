"""From a Keras 3 image model to a .tflite file that was run before it is returned.

`convert` makes and checks the file, `compare` measures it on pictures, `inspect` lists what
is inside; `quantize_aware` trains for the rounding of int8 first. TensorFlow is imported
when a model is converted, not before.
"""

from .bounds import Bounds, Choice
from .compare import Comparison, compare
from .convert import convert
from .gates import Gate
from .images import Images, load_images
from .inspect import Inspection, Operator, inspect
from .layerwise import LayerError
from .lower import lower
from .passes import Lowering
from .preprocess import Preprocess
from .qat import calibrate_ranges, quantize_aware, strip
from .recipe import RECIPES, Recipe, get_recipe
from .result import BoundNotMet, Report, Result
from .run import Runner, TensorInfo
from .tfmot import Tuned, Tuning, cluster, compressed_size_bytes, prune

__all__ = [
    "RECIPES",
    "BoundNotMet",
    "Bounds",
    "Choice",
    "Comparison",
    "Gate",
    "Images",
    "Inspection",
    "LayerError",
    "Lowering",
    "Operator",
    "Preprocess",
    "Recipe",
    "Report",
    "Result",
    "Runner",
    "TensorInfo",
    "Tuned",
    "Tuning",
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
    "strip",
]
