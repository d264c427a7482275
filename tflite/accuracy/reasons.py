"""Why a layer of a converted file loses accuracy, where it is known."""

import math

import numpy as np

from ..file import flatfile
from .gates import MIN_SNR_DB, STEP
from .seen import Seen

_SUMS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "ADD", "SUB")
_HALF = np.finfo("float16")
_OUTLIER = 16  # times the median channel, in int8
_SMALLEST_RANGE = 1e-6  # TensorFlow's converter widens smaller ones
# What rounding alone leaves of values that fill a range evenly is 59 dB in int8, 107 in int16.
_POOR_SNR_DB = {8: 30.0, 16: 78.0}  # by bits


def reason_of(kind: str, seen: Seen, tensor) -> str | None:
    """Why an integer tensor cannot hold these values, where one of the known causes is there.

    Args:
        kind: operator that makes it.
        seen: its values in float32, on any number of images.
        tensor: of an unpacked file.
    """
    quantization, dtype = tensor.quantization, flatfile.dtype_name(tensor)
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None
    scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    limits = np.iinfo(dtype)
    low, high = (limits.min - zero_point) * scale, (limits.max - zero_point) * scale
    smallest, largest, power = seen.smallest, seen.largest, seen.power
    if kind == "LOGISTIC" and dtype == "int8" and power < 10 ** (MIN_SNR_DB / 10) * STEP**2 / 12:
        return (
            f"small gate, mean {seen.mean:.3g} in steps of 1/256; "
            'use recipe="mixed_int8" or a hard_sigmoid gate'
        )
    if largest - high > 0.1 * (high - low) or low - smallest > 0.1 * (high - low):
        return (
            f"clipped, values in [{smallest:.3g}, {largest:.3g}] where {dtype} holds "
            f"[{low:.3g}, {high:.3g}]: more calibration images, or an operator that shares "
            "its scale with its input"
        )
    if 0 < max(-smallest, largest) < _SMALLEST_RANGE:
        return (
            f"tiny values, up to {max(-smallest, largest):.3g}: the converter has no range below "
            f'{_SMALLEST_RANGE:g}; use recipe="dynamic_int8", or a BatchNormalization behind it'
        )
    if max(abs(smallest), abs(largest)) < 16 * scale:
        return f"coarse scale, values up to {max(-smallest, largest):.3g} in steps of {scale:.3g}"
    outlier = outlier_channel(seen.channels, _OUTLIER * (high - low) / (255 * scale))
    if outlier is not None:
        return f"{outlier}: one scale serves both"
    if 10 * math.log10(max(power, 1e-300) * 12 / scale**2) < _POOR_SNR_DB.get(limits.bits, 0.0):
        return (
            f"wide range, values of {math.sqrt(power):.3g} on average (root of the mean square) in "
            f"steps of {scale:.3g}: few are as large as {max(-smallest, largest):.3g}"
        )
    return None


def outlier_channel(channels: np.ndarray, factor: float = _OUTLIER) -> str | None:
    """The largest of some channels' magnitudes, where it is `factor` times the median; else None.

    >>> outlier_channel(np.array([1.0, 2.0, 50.0]))
    'outlier channel 2, 25 times the median channel'
    """
    median = float(np.median(channels))
    if len(channels) == 1 or not 0 < median * factor < channels.max():
        return None
    return (
        f"outlier channel {int(channels.argmax())}, {channels.max() / median:.0f} times the "
        "median channel"
    )


def magnified(kind: str, seen: Seen, kernel: np.ndarray | None, rounded: Seen | None) -> str | None:
    """Why an operator loses whose own range is fine.

    Args:
        kind: of the operator.
        seen: what it makes.
        kernel: its kernel, where the file has it in float16.
        rounded: its input, where that is float and rounded to int8 while the operator runs.
    """
    largest = 1.0 if kernel is None else float(np.abs(kernel).max())
    if not _HALF.tiny < largest < _HALF.max:  # the converter stops at the largest
        return f"kernel outside float16's [{_HALF.tiny:.1g}, {_HALF.max:.0f}]; use another recipe"
    if not seen.finite:
        return "not finite: values beyond the range of their dtype"
    outlier = None if rounded is None else outlier_channel(rounded.channels)
    if outlier is not None:
        return f"{outlier} of its input, which is rounded to int8 in one scale while it runs"
    if kind in _SUMS:
        return (
            "magnified rounding: large terms nearly cancel, as where a BatchNormalization divides "
            "by a small deviation; use a recipe of more bits, or quantize_aware"
        )
    return None
