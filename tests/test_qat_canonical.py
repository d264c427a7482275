"""What an int8 file has no operator for is written out in others, and which tensors have ranges."""

import keras
import numpy as np
import pytest

from keras_se.tflite import lower
from keras_se.tflite.qat.canonical import canonical
from keras_se.tflite.qat.graph import trace
from keras_se.tflite.qat.placement import check_supported, place_ranges

layers, ops = keras.layers, keras.ops
IMAGES = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")
COLOURS = np.array([0.5, -2.0, 3.0], "float32")
STATISTICS = {"mean": [0.5, 0.0, 0.0], "variance": [4.0, 1e-9, 0.0]}


def two(x):
    return [x, layers.Conv2D(3, 1)(x)]


def vector(x):
    return layers.Dense(5)(layers.GlobalAveragePooling2D()(x))


FORMS = {
    "x + c": lambda x: x + COLOURS,
    "x - c": lambda x: x - COLOURS,
    "c - x": lambda x: ops.subtract(COLOURS, x),
    "c x": lambda x: ops.multiply(COLOURS, x),
    "x / c": lambda x: x / COLOURS,
    "x + y": lambda x: ops.add(*two(x)),
    "x - y": lambda x: ops.subtract(*two(x)),
    "x y": lambda x: ops.multiply(*two(x)),
    "maximum": lambda x: ops.maximum(*two(x)),
    "minimum": lambda x: ops.minimum(*two(x)),
    "sum of three": lambda x: layers.Add()([*two(x), x]),
    "product of three": lambda x: layers.Multiply()([*two(x), x]),
    "average": lambda x: layers.Average()([*two(x), x]),
    "reversed": lambda x: x[..., ::-1],
    "stack": lambda x: ops.stack([x[..., 2], x[..., 0], x[..., -1], x[..., 0]], axis=-1),
    "rescaling": layers.Rescaling([0.5, 2.0, 3.0], [1.0, 2.0, 3.0]),
    "normalization": layers.Normalization(**STATISTICS),
    "inverted normalization": layers.Normalization(**STATISTICS, invert=True),
    "norm alone": layers.BatchNormalization(),
    "norm without weights": layers.BatchNormalization(scale=False, center=False),
    "norm of a vector": lambda x: layers.BatchNormalization()(vector(x)),
    "norm behind a convolution": lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3)(x)),
    "norm behind an activation": lambda x: layers.BatchNormalization()(
        layers.Conv2D(4, 3, activation="relu")(x)
    ),
    "norm of one of two readers": lambda x: layers.Concatenate()(
        [y := layers.Conv2D(4, 3)(x), layers.BatchNormalization()(y)]
    ),
    "separable": layers.SeparableConv2D(
        4, 3, strides=2, padding="same", depth_multiplier=2, activation="relu"
    ),
    "dilated": layers.SeparableConv2D(4, 3, dilation_rate=2, use_bias=False),
    "hard sigmoid": layers.Activation("hard_sigmoid"),
    "hard swish of a vector": lambda x: layers.Activation("hard_silu")(vector(x)),
    "swish": layers.Conv2D(4, 3, activation="silu"),
    "ReLU6": layers.DepthwiseConv2D(3, activation="relu6"),
    "softmax": layers.Softmax(),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_equal(name):
    inputs = keras.Input(IMAGES.shape[1:])
    model = keras.Model(inputs, FORMS[name](inputs))
    for number, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(number).uniform(0.2, 1.0, weight.shape))
    written_out = canonical(lower(model, batch_size=None))
    nodes = trace(written_out)
    check_supported(nodes)
    for norm in (node for node in nodes if node.is_a(layers.BatchNormalization)):
        [convolution] = norm.inputs  # into which it folds
        assert convolution.is_a(layers.Conv2D) and convolution.sole_user() is norm
    np.testing.assert_allclose(written_out(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-5)


def test_which_tensors_have_a_range_and_which_is_fixed():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="a")(inputs)
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="b")(x))
    x = layers.MaxPooling2D(name="pool")(layers.ReLU(name="relu")(x))
    tanh = layers.Activation("tanh", name="tanh")(layers.Conv2D(4, 1, name="c")(x))
    gate = layers.Activation("sigmoid", name="gate")(x)
    total = layers.Add(name="sum")([tanh, layers.Multiply(name="product")([x, gate])])
    clip = layers.ReLU(1.0, name="clip")(total)
    both = layers.Concatenate(name="both")([layers.Conv2D(2, 1, name="d")(clip), x])
    outputs = layers.Dense(3, activation="softmax", name="e")(layers.Flatten(name="flat")(both))
    nodes = trace(canonical(lower(keras.Model(inputs, outputs), batch_size=None)))
    found = {
        tuple(node.operation.name if node.operation else "" for node in group.nodes): group.bounds
        for group in place_ranges(nodes, raw_pixels=True)
    }
    assert found == {
        ("",): (0.0, 255.0),
        ("a_activation",): None,
        ("relu", "d"): None,  # one range of all that flows into a concatenation
        ("c",): None,
        ("tanh",): (-1.0, 127 / 128),
        ("gate",): (0.0, 255 / 256),
        ("product",): None,
        ("clip",): (0.0, 1.0),
        ("e",): None,
    }
    assert place_ranges(nodes, raw_pixels=False)[0].bounds is None
