"""Published weights: their table, the files that hold them, and their way into a network.

`keras_se.applications.from_checkpoint` builds a network from a file.
"""

from .architectures import ARCHITECTURES, Architecture
from .download import DownloadError, cache_directory, download
from .table import WEIGHTS, Weights, published_weights

__all__ = [
    "ARCHITECTURES",
    "WEIGHTS",
    "Architecture",
    "DownloadError",
    "Weights",
    "cache_directory",
    "download",
    "published_weights",
]
