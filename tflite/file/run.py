"""Run a .tflite file in the LiteRT interpreter, quantization included."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsBytes

import numpy as np

File = SupportsBytes | str | os.PathLike  # of a .tflite model: bytes, a `Result` or a path


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a file.

    Attributes:
        name: the tensor's name in the file.
        shape: its shape, batch included.
        dtype: "float32", "uint8", "int8", ...
        scale, zero_point: real value = scale * (stored - zero_point); None for floats.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to stored ones: rounded and clipped to the dtype's range."""
        if self.scale is None or self.zero_point is None:
            return np.asarray(values, self.dtype)
        limits = np.iinfo(self.dtype)
        stored = np.round(np.asarray(values, "float64") / self.scale) + self.zero_point
        return np.clip(stored, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Stored values to real ones, in float32."""
        if self.scale is None or self.zero_point is None:
            return stored.astype("float32")
        return ((stored.astype("float64") - self.zero_point) * self.scale).astype("float32")


class Runner:
    """A .tflite file, ready to run on the CPU.

    Args:
        model: the file's bytes, or its path.
        num_threads: threads of the interpreter.
        xnnpack: whether XNNPACK runs what it can; False leaves all to the built-in kernels.

    Raises:
        ValueError: when the bytes are no TFLite model, the interpreter refuses them, or for less
            than one thread.
        FileNotFoundError: when there is no file at the path.
    """

    def __init__(self, model: File, num_threads: int = 1, xnnpack: bool = True):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1. Received: num_threads={num_threads}")
        content = read_model(model)
        kernels = (
            OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        try:
            self.interpreter = Interpreter(
                model_content=content,
                num_threads=num_threads,
                experimental_op_resolver_type=kernels,
            )
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"The LiteRT interpreter refuses the file: {error}") from error
        self.inputs = tuple(map(_tensor_info, self.interpreter.get_input_details()))
        details = self.interpreter.get_output_details()
        self.outputs = tuple(map(_tensor_info, details))
        self._output_indices = [detail["index"] for detail in details]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the input; ValueError where it is no image."""
        if len(self.inputs[0].shape) != 4:
            raise ValueError(f"A file with an image input is needed. Received: {self.inputs[0]}")
        _, height, width, channels = self.inputs[0].shape
        return height, width, channels

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """Run one image, (h, w, c), given as real values; returns the outputs as real values."""
        return list(self.one_by_one(image))

    def one_by_one(self, image: np.ndarray, last: int = 0) -> Iterator[np.ndarray]:
        """The same, of a file with many outputs: each is copied when it is asked for.

        Args:
            image: (h, w, c).
            last: how many outputs, those that `flatfile.with_outputs` has added; 0 means all.
        """
        self.set_input(image)
        self.interpreter.invoke()
        outputs = list(zip(self._output_indices, self.outputs, strict=True))
        for index, info in outputs[-last:]:
            yield info.dequantize(self.interpreter.get_tensor(index))

    def set_input(self, image: np.ndarray) -> None:
        """Quantize one image, (h, w, c), into the file's input."""
        index = self.interpreter.get_input_details()[0]["index"]
        self.interpreter.set_tensor(index, self.inputs[0].quantize(image)[None])

    def latency_ms(self, image: np.ndarray, runs: int = 20, warmup: int = 3) -> float:
        """Median wall-clock time of `runs` invocations in ms, without copying in and out."""
        self.set_input(image)
        for _ in range(warmup):
            self.interpreter.invoke()
        return float(np.median([self.invoke_ms() for _ in range(runs)]))

    def invoke_ms(self) -> float:
        """Wall-clock time of one invocation in ms, without copying in and out."""
        start = time.perf_counter()
        self.interpreter.invoke()
        return (time.perf_counter() - start) * 1e3


def latencies_ms(
    runners: Mapping[str, Runner], image: np.ndarray, runs: int = 25
) -> dict[str, float]:
    """Median times of files that take turns, so that a busy machine slows all alike.

    Args:
        runners: the files by name.
        image: (h, w, c), the same for all.
        runs: invocations of each.

    Returns:
        By name the median of the wall-clock times in ms, without copying in and out.
    """
    times: dict[str, list[float]] = {name: [] for name in runners}
    for runner in runners.values():
        runner.set_input(image)
        runner.interpreter.invoke()
    for _ in range(runs):
        for name, runner in runners.items():
            times[name].append(runner.invoke_ms())
    return {name: float(np.median(values)) for name, values in times.items()}


def read_model(model: File) -> bytes:
    """The bytes of a .tflite file, given as bytes, as `Result` or as path.

    Raises:
        TypeError: for anything else.
        ValueError: when they do not carry the TFLite identifier.
        FileNotFoundError: when there is no file at the path.
    """
    if not isinstance(model, (SupportsBytes, bytearray, memoryview, str, os.PathLike)):
        raise TypeError(
            "A TFLite file is given as a Result, as bytes or as a path. "
            f"Received: {type(model).__name__}"
        )
    content = Path(model).read_bytes() if isinstance(model, (str, os.PathLike)) else bytes(model)
    if content[4:8] != b"TFL3":
        what = (
            f"{len(content)} bytes" if isinstance(model, (bytes, bytearray)) else repr(str(model))
        )
        raise ValueError(f"Not a TFLite model (no 'TFL3' identifier). Received: {what}")
    return content


def _tensor_info(detail: dict) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(size) for size in detail["shape"])
    dtype = np.dtype(detail["dtype"]).name
    if scale == 0:
        return TensorInfo(detail["name"], shape, dtype)
    return TensorInfo(detail["name"], shape, dtype, float(scale), int(zero_point))
