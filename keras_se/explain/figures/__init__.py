"""What attention does, drawn as in the papers (`pip install "keras-se[plot]"`).

Every function returns a `matplotlib.figure.Figure`; save it with `figure.savefig(path)`.
"""

from .excitations import excitations
from .kernel_choice import kernel_choice
from .overlays import overlays
from .sensitivity_bars import sensitivity_bars

__all__ = ["excitations", "kernel_choice", "overlays", "sensitivity_bars"]
