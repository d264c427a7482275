"""Which operators devices take: their vendors' lists, as tables.

Each table was read in its source on the date that stands with it. What XNNPACK takes is not
here: it is run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .cures import INT8_CURE, OTHER_CURE
from .rules import (
    Rule,
    always,
    broadcast_one_way,
    broadcast_over_pixels_or_channels,
    depth_multiple_of,
    dtypes,
    highest_rank,
    highest_version,
    innermost_three,
    no_activation,
    not_over,
    over_height_and_width_only,
    same_dilation,
    thin_if_over_depth,
    ungrouped,
    vector,
    weights,
)

READ = "2026-11-22"  # when the sources below were read


@dataclass(frozen=True)
class Device:
    """What a device takes, by its documentation.

    Attributes:
        key: "gpu", ...
        name: as its users say it.
        source: address of the list.
        read: date on which it was read, YYYY-MM-DD.
        rest: what becomes of the operators that it does not take.
        rules: what it asks of every operator.
        operators: name -> what it asks of this one besides. One that is missing is not taken.
    """

    key: str
    name: str
    source: str
    rest: str
    rules: tuple[Rule, ...]
    operators: Mapping[str, tuple[Rule, ...]]
    read: str = READ


def _table(names: str, **rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    """Operators without rules of their own, in one string, and those with some."""
    return dict.fromkeys(names.split(), ()) | rules


_FOUR = "write it with tensors of at most 4 dimensions; SK with two branches is deployed so"
_NEVER_BATCH = "take the batch out of the reduction: a file runs one image"

_DELEGATE = "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite"

GPU = Device(
    key="gpu",
    name="GPU delegate",
    source=f"{_DELEGATE}/tools/versioning/gpu_compatibility.cc",
    rest="runs on the CPU, with a copy each way",
    rules=(
        dtypes(
            ("float32", "float16", "int8", "uint8", "int32", "bool"),
            "the GPU computes in float and unpacks 8-bit integers alone",
            f'recipe="float16" or {INT8_CURE}',
        ),
        highest_rank(4, _FOUR),
    ),
    operators=_table(
        "ABS ADD_N AVERAGE_POOL_2D BATCH_MATMUL CAST CEIL CONCATENATION CONV_2D COS CUMSUM DENSIFY "
        "DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD "
        "FULLY_CONNECTED GATHER GELU GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL "
        "LOG LOGICAL_AND LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD NEG NOT_EQUAL "
        "ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 "
        "RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN "
        "SIN SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE "
        "STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV",
        ADD=(),
        MUL=(broadcast_one_way("apply the two gates one after the other, each to the full map"),),
    ),
)

_DENSE = "tflite.Lowering(groups='dense'): one block-diagonal kernel with the same outputs"

EDGE_TPU = Device(
    key="edge_tpu",
    name="Edge TPU",
    source="https://coral.ai/docs/edgetpu/models-intro/#supported-operations",
    rest="runs on the CPU, and so does everything after the first such operator",
    rules=(
        dtypes(("int8", "uint8"), "only 8-bit integers are compiled", f'{INT8_CURE}, io="uint8"'),
        innermost_three(_FOUR),
    ),
    operators=_table(
        "ADD EXPAND_DIMS L2_NORMALIZATION LOGISTIC LSTM MAXIMUM MINIMUM MUL PACK PAD PRELU "
        "QUANTIZE RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT "
        "SLICE SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB TANH TRANSPOSE "
        "TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM",
        AVERAGE_POOL_2D=(no_activation("let the activation be a layer of its own"),),
        CONCATENATION=(no_activation("let the activation be a layer of its own"),),
        CONV_2D=(
            same_dilation("the same dilation in both directions"),
            ungrouped("grouped convolutions are not on the list", _DENSE),
        ),
        DEPTHWISE_CONV_2D=(same_dilation("the same dilation in both directions"),),
        FULLY_CONNECTED=(vector(10**9, "pool the map to one row before the layer"),),
        MAX_POOL_2D=(no_activation("let the activation be a layer of its own"),),
        MEAN=(
            not_over((0,), "a mean over the batch", _NEVER_BATCH),
            depth_multiple_of(4, "a multiple of 4 channels"),
        ),
        REDUCE_MAX=(not_over((0,), "a maximum over the batch", _NEVER_BATCH),),
        REDUCE_MIN=(not_over((0,), "a minimum over the batch", _NEVER_BATCH),),
        SOFTMAX=(vector(16_000, "logits=True: the app needs the largest alone"),),
        SUM=(not_over((0,), "a sum over the batch", _NEVER_BATCH),),
    ),
)

ETHOS_U = Device(
    key="ethos_u",
    name="Ethos-U NPU",
    source="https://git.mlplatform.org/ml/ethos-u/ethos-u-vela.git/about/SUPPORTED_OPS.md",
    rest="runs on the Cortex-M beside the NPU",
    rules=(dtypes(("int8", "uint8", "int16", "int32"), "the NPU computes in integers", INT8_CURE),),
    operators=_table(
        "ABS ADD ARG_MAX AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D ELU "
        "EXP EXPAND_DIMS FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM "
        "MAX_POOL_2D MINIMUM MIRROR_PAD MUL NEG PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX "
        "REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR "
        "RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SLICE SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE "
        "SQUEEZE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV "
        "UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK",
        MEAN=(
            not_over((0,), "a mean over the batch", _NEVER_BATCH),
            thin_if_over_depth(
                "a 1x1 convolution with the constant kernel 1/c has the same outputs"
            ),
        ),
    ),
)

CORE_ML = Device(
    key="core_ml",
    name="Core ML delegate",
    source=f"{_DELEGATE}/delegates/coreml/coreml_delegate.mm",
    rest="runs on the CPU",
    rules=(
        dtypes(("float32",), "the delegate takes no quantized model", 'recipe="float16"'),
        weights("int8", "int8 weights with float values", 'recipe="float16"'),
        highest_version(
            1,
            OTHER_CURE,
            {"CONV_2D": _DENSE},  # what raises it is groups
            DEPTHWISE_CONV_2D=2,
            FULLY_CONNECTED=6,
            DEQUANTIZE=3,
        ),
    ),
    operators=_table(
        "DEPTHWISE_CONV_2D FULLY_CONNECTED HARD_SWISH LOGISTIC MIRROR_PAD PAD PADV2 RELU RELU6 "
        "RELU_N1_TO_1 RESIZE_BILINEAR SOFTMAX TANH TRANSPOSE_CONV CONCATENATION",
        ADD=(broadcast_over_pixels_or_channels("shapes that differ in pixels or channels alone"),),
        AVERAGE_POOL_2D=(no_activation("let the activation be a layer of its own"),),
        CONV_2D=(),
        DEQUANTIZE=(),  # of float16 weights, which the delegate reads itself
        MAX_POOL_2D=(no_activation("let the activation be a layer of its own"),),
        MEAN=(
            over_height_and_width_only(
                "tflite.Lowering(pool='average_pool'); for a mean over channels "
                "tflite.Lowering(channel_mean='conv')"
            ),
        ),
        MUL=(broadcast_over_pixels_or_channels("shapes that differ in pixels or channels alone"),),
        RESHAPE=(
            always("taken by Core ML 2 alone, not by Core ML 3", "keep pooled maps at (1, 1, c)"),
        ),
    ),
)

TFLM = Device(
    key="tflm",
    name="TFLite Micro",
    source="https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/"
    "micro_mutable_op_resolver.h",
    rest="the file does not load",
    rules=(
        dtypes(
            ("float32", "int8", "int16", "int32", "bool"),
            "the kernels compute in int8, int16 or float32",
            f'{INT8_CURE}, io="int8"',
            besides=("QUANTIZE",),
        ),
        weights("int8", "int8 weights with float values: no kernel computes both", INT8_CURE),
        weights("float16", "float16 weights: no kernel unpacks them", f'{INT8_CURE} or "float32"'),
    ),
    operators=_table(
        "ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL "
        "BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D "
        "COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU "
        "EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED "
        "GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D "
        "LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX "
        "MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU "
        "QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE "
        "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE "
        "SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE "
        "SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV "
        "UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE",
    ),
)

DEVICES = (GPU, EDGE_TPU, ETHOS_U, CORE_ML, TFLM)
