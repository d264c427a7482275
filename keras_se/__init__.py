"""Squeeze-and-Excitation, Selective Kernel and CBAM for Keras 3.

>>> import keras, keras_se
>>> features = keras.Input((56, 56, 256))
>>> keras_se.layers.SqueezeExcite(ratio=16)(features).shape
(None, 56, 56, 256)
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ._version import __version__

if not Path(__file__).with_name("applications").is_dir():
    # A checkout, where the sub-packages lie beside this folder (setup.cfg, package_dir).
    __path__.append(str(Path(__file__).parents[1]))


def _is_command() -> bool:
    """Whether this process is `keras-se` or `python -m keras_se`.

    Keras takes seconds to import; the command line imports it in the commands that need it.
    Everyone else gets the layers registered with Keras by `import keras_se`.
    """
    if sys.argv[:1] == ["-m"]:  # Python is looking for the module to run
        return ("-m", "keras_se") in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    return Path(sys.argv[0] if sys.argv else "").stem == "keras-se"


if TYPE_CHECKING or not _is_command():
    from . import applications, layers, surgery, training
    from .surgery.insert import insert
    from .surgery.prune import prune_gates
    from .surgery.remove import remove
    from .surgery.replace import replace
if TYPE_CHECKING:
    from . import explain


def __getattr__(name: str):
    """What registers nothing with Keras is imported when it is asked for."""
    if name == "explain":
        return importlib.import_module(".explain", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "__version__",
    "applications",
    "explain",
    "insert",
    "layers",
    "prune_gates",
    "remove",
    "replace",
    "surgery",
    "training",
]
