"""What the demo is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from ..training.precision import check_precision


@dataclass(frozen=True)
class Settings:
    """What the demo does.

    Attributes:
        output: folder for the four files; made if missing.
        data: folder of pictures, one folder per class; None takes the digits.
        image_size: height and width in pixels; None means 32 for the digits, 64 for `data`.
        depth: number of weighted layers of the SE-ResNet, 6 n + 2.
        epochs: epochs of training; None means as many as make about 230 steps, at most 60.
        seed: of the split, the weights and the order of the pictures.
        precision: what the network is trained in; see `keras_se.training.set_precision`. The
            float row of the table is the float32 file in any case.
        jit: compile with XLA on every device; False leaves it to Keras, "auto".
        overwrite: replace the files of an earlier run.

    Raises:
        ValueError: if a number is out of its range.
    """

    output: Path
    data: Path | None = None
    image_size: int | None = None
    depth: int = 8
    epochs: int | None = None
    seed: int = 0
    precision: str = "float32"
    jit: bool = False
    overwrite: bool = False

    def __post_init__(self):
        if self.image_size is not None and self.image_size < 32:
            raise ValueError(
                f"`image_size` must be at least 32. Received: image_size={self.image_size}"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"`epochs` must be at least 1. Received: epochs={self.epochs}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`seed` must be in [0, 2**32). Received: seed={self.seed}")
        check_precision(self.precision)
