"""The ranges of the activations: observed on pictures, and mended where they cannot serve."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ...names import counted
from ..file import flatfile
from ..file.multipliers import observed_range, widen_too_fine
from ..inputs.images import Images
from ..recipe import Recipe

_ZERO = 1e-6
# XNNPACK adds two int8 tensors when their scales are at least 1/1024 of the sum's. The quantizer
# for int16 coarsens a kernel until the bias fits into 2^30 steps of its products.
_SMALLEST_SUMMAND = {"int8": 1 / 512, "int16": 1 / 8}
_ONE_SCALE = ("MAXIMUM", "MINIMUM", "SELECT", "SELECT_V2")
_OUTPUT_AXIS = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}  # of the kernel


def calibration_set(images: Images) -> Iterator[list[np.ndarray]]:
    """Yield every image as the converter wants it: a list of one float32 batch of 1."""
    for image in images.pixels:
        yield [image[None].astype("float32")]


def _check_finite(model, recipe: Recipe) -> None:
    """Raise where a tensor was infinite or NaN on a picture: integers have no step for it.

    TensorFlow's quantizer (2.21) ends the process with such a range.
    """
    names = [
        flatfile.tensor_name(tensor)
        for graph in model.subgraphs
        for tensor in graph.tensors
        if _bound(tensor) is not None
        and not np.isfinite([tensor.quantization.min[0], tensor.quantization.max[0]]).all()
    ]
    if names:
        raise RuntimeError(
            f"Recipe {recipe.name!r} needs finite ranges, and {counted(len(names), 'tensor')} of "
            "the file overflowed on the pictures, as the exponential of a number above 88 does. "
            "Are they normalised as in training? A recipe whose activations are floats works "
            f"otherwise. Received: {names[:5]}"
        )


def mend_ranges(calibrated: bytes, raw_pixels: bool, recipe: Recipe) -> bytes:
    """Replace observed ranges that would make a wrong or unusable integer file.

    - Raw pixels get [0, 255], whatever the pictures held: the input's scale is then 1.
    - A tensor that was zero on every picture (a branch with gamma 0, a channel that never
      fires) would get a scale of 8e-9, and XNNPACK may then refuse the whole file (measured
      with ai-edge-litert 2.3); in int16 3.6e-43, and a kernel behind it infinite scales: all
      that it makes is zero. It gets the range of what it flows into, an output [-1, 1].
    - A summand far smaller than the sum would not be delegated. It gets a range that is just
      wide enough; its step is still finer than the sum's.
    - What a convolution hands to the next, where it is far smaller than the next one's bias:
      the same. CBAM's kernels are shared, and would be coarsened for both of their inputs.
    - A result whose step would be finer than a kernel for int8 can compute (`widen_too_fine`).
    - What has one scale with others by the format gets one range for all (`_share_ranges`).

    Args:
        calibrated: float .tflite file with the observed ranges, before its quantization.
        raw_pixels: whether the input is raw pixels.
        recipe: of int8 or int16 activations.

    Returns:
        The file with those ranges replaced.

    Raises:
        RuntimeError: where a tensor was not finite on a picture, with the tensors' names.
    """
    model, smallest = flatfile.unpack(calibrated), _SMALLEST_SUMMAND[recipe.activations]
    _check_finite(model, recipe)
    for graph in model.subgraphs:
        _share_ranges(model, graph)
        if raw_pixels:
            _set_range(graph.tensors[graph.inputs[0]], 0, 255)
        for tensor in (graph.tensors[index] for index in graph.outputs):
            observed = _bound(tensor)
            if observed is not None and observed < _ZERO:
                _set_range(tensor, -1.0, 1.0)
        hidden = _hidden(model, graph)
        for operator in reversed(graph.operators):  # what a tensor flows into is mended first
            result = _bound(graph.tensors[operator.outputs[0]]) or 1.0
            sums = flatfile.operator_name(model, operator) in ("ADD", "SUB")
            for index in operator.inputs:
                tensor = graph.tensors[index]
                observed = _bound(tensor) if index >= 0 else None
                if observed is None:  # a constant
                    continue
                gain = hidden.get(index, 1.0)
                if observed < _ZERO:
                    _set_range(tensor, -result / gain, result / gain)
                elif (sums or index in hidden) and observed * gain < result * smallest:
                    bound = result * smallest / gain
                    _set_range(tensor, -bound, bound)
    if recipe.activations == "int8":
        widen_too_fine(model)
    return flatfile.pack(model)


def _share_ranges(model, graph) -> None:
    """Give the terms and the result of a maximum, minimum or selection the range of all of them.

    Their kernels have one scale. The quantizer (TensorFlow 2.21) takes the result's for the terms,
    and clips whoever else reads them: x in a sum of max(x, 0) and min(x, 0) lost one of its halves.
    """
    for operator in reversed(graph.operators):
        if flatfile.operator_name(model, operator) not in _ONE_SCALE:
            continue
        tensors = [graph.tensors[index] for index in (*operator.inputs, operator.outputs[0])]
        ranges = [r for r in map(observed_range, tensors) if r is not None]
        for tensor in tensors:
            if observed_range(tensor) is not None:
                _set_range(tensor, min(r[0] for r in ranges), max(r[1] for r in ranges))


def _hidden(model, graph) -> dict[int, float]:
    """Tensors that one convolution makes for one other alone, and how far that magnifies them.

    The gain is the largest sum of a filter's magnitudes. Without the tensors that share their
    scale with another, since a new range would be that one's too.
    """
    made = {
        int(operator.outputs[0])
        for operator in graph.operators
        if flatfile.operator_name(model, operator) in _OUTPUT_AXIS
    }
    readers = Counter(int(index) for operator in graph.operators for index in operator.inputs)
    gains = {}
    for operator in graph.operators:
        axis = _OUTPUT_AXIS.get(flatfile.operator_name(model, operator))
        source = int(operator.inputs[0])
        if axis is None or source not in made or readers[source] > 1:
            continue
        kernel = graph.tensors[operator.inputs[1]]
        content = model.buffers[kernel.buffer].data
        if content is not None and flatfile.dtype_name(kernel) == "float32":
            values = np.frombuffer(bytes(content), "float32").reshape(kernel.shape)
            sums = np.abs(values).sum(tuple(i for i in range(values.ndim) if i != axis))
            if sums.max() > 0:
                gains[source] = float(sums.max())
    return gains


def _bound(tensor) -> float | None:
    """The largest magnitude that was observed; None where nothing was."""
    observed = tensor.quantization
    if observed is None or observed.min is None or len(observed.min) != 1:
        return None
    return float(max(abs(observed.min[0]), abs(observed.max[0])))


def _set_range(tensor, low: float, high: float) -> None:
    tensor.quantization.min, tensor.quantization.max = [low], [high]
