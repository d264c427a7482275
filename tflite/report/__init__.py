"""One page, or JSON, about a .tflite file: what was lost, where, and what would cure it."""

from .collect import report
from .facts import Facts, Origin
from .file_report import FileReport
from .predictions import Change, Confusion, Disagreement
from .recipes import Kernels, RecipeRow
from .support import Problem, Support

__all__ = [
    "Change",
    "Confusion",
    "Disagreement",
    "Facts",
    "FileReport",
    "Kernels",
    "Origin",
    "Problem",
    "RecipeRow",
    "Support",
    "report",
]
