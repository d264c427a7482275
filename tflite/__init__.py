"""From a Keras 3 image model to a .tflite file that was run before it is returned.

`convert` makes and checks the file, `compare` measures it on pictures, `inspect` lists
what is inside. TensorFlow is imported when a model is converted, not before.
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
from .recipe import RECIPES, Recipe, get_recipe
from .result import BoundNotMet, Report, Result
from .run import Runner, TensorInfo

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
    "compare",
    "convert",
    "get_recipe",
    "inspect",
    "load_images",
    "lower",
]
