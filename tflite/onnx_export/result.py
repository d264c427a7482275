"""What an export found."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..file.run import TensorInfo


@dataclass(frozen=True)
class OnnxResult:
    """An ONNX file that was checked, run and saved.

    Attributes:
        path: where it lies.
        opset: version of the ONNX operators.
        layout: order of the input's axes, "nhwc" or "nchw".
        input, output: name, shape, dtype and quantization.
        operators: how often each operator occurs.
        snr_db: 10 log10(sum ref^2 / sum (ref - onnx)^2) of the outputs in dB, where ref is the
            Keras model or the .tflite file; infinite when they are equal.
        max_abs_error: of the same values.
        images: number of images they were compared on.
        compared_on: "images" of the caller, or "noise".
        size_bytes: size of the file.
    """

    path: Path
    opset: int
    layout: str
    input: TensorInfo
    output: TensorInfo
    operators: dict[str, int]
    snr_db: float
    max_abs_error: float
    images: int
    compared_on: str
    size_bytes: int

    def to_dict(self) -> dict:
        """The fields as a JSON-able dictionary; an infinite SNR as a string."""
        snr = self.snr_db if np.isfinite(self.snr_db) else str(self.snr_db)
        return asdict(self) | {"path": str(self.path), "snr_db": snr}

    def __str__(self) -> str:
        operators = ", ".join(f"{count} x {name}" for name, count in self.operators.items())
        return "\n".join(
            [
                f"{self.size_bytes} bytes, opset {self.opset}",
                f"input {self.input.name}: {self.input.dtype} {list(self.input.shape)}",
                f"output {self.output.name}: {self.output.dtype} {list(self.output.shape)}",
                operators,
                f"{self.images} {self.compared_on} compared in onnxruntime"
                if self.compared_on == "images"
                else f"compared on {self.images} images of noise in onnxruntime",
                f"SNR              {self.snr_db:.1f} dB",
                f"absolute error   {self.max_abs_error:.3g} max",
            ]
        )
