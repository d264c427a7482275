"""Published weights: their table, the files that hold them, and their way into a network."""

from .architectures import ARCHITECTURES, Architecture
from .checkpoint import from_checkpoint
from .download import DownloadError, cache_directory, download
from .state_dict import from_state_dict, to_state_dict
from .table import WEIGHTS, Weights, published_weights

__all__ = [
    "ARCHITECTURES",
    "WEIGHTS",
    "Architecture",
    "DownloadError",
    "Weights",
    "cache_directory",
    "download",
    "from_checkpoint",
    "from_state_dict",
    "published_weights",
    "to_state_dict",
]
