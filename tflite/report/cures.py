"""What to do about an operator that a device does not take."""

INT8_CURE = 'recipe="static_int8"'
OTHER_CURE = "replace the layer that makes it, or leave it to the CPU"
WINDOW_CURE = "tflite.Lowering(window_pool='conv'), or pool='mean' where it is over the whole map"

# Of operators that a device does not list, by name.
CURES = {
    "QUANTIZE": 'io="int8": the file then begins and ends in its own numbers',
    "DEQUANTIZE": f"{INT8_CURE}: no conversions between floats and integers",
    "SOFTMAX": "logits=True: leave the softmax out; the largest logit is the largest probability",
    "LOGISTIC": "gates of hard_sigmoid, which are additions and a clipped ReLU",
    "MEAN": "tflite.Lowering(pool='average_pool')",
    "REDUCE_MAX": "a gate without a maximum, such as SqueezeExcite; or leave these to the CPU",
    "GATHER_ND": "attention without sampling, such as SqueezeExcite or CBAM",
    "TANH": "activation='relu'",
    "EXP": "an activation of ReLU, ReLU6 or hard_swish",
    "ELU": "an activation of ReLU, ReLU6 or hard_swish",
    "GELU": "an activation of ReLU, ReLU6 or hard_swish",
    "HARD_SWISH": "tflite.Lowering(hard_swish='product')",
    "LEAKY_RELU": "an activation of ReLU or ReLU6",
    "AVERAGE_POOL_2D": WINDOW_CURE,
    "TRANSPOSE": "keep the layout (b, h, w, c) from input to output",
    "PACK": "tensors of at most 4 dimensions: deploy the layer in its lowered form",
    "DIV": "multiply by the inverse",
    "SUB": "add the negative",
}
