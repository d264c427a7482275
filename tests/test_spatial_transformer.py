"""The spatial transformer: grid and sampler against NumPy, gradients against differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_se.layers import SpatialTransformer
from keras_se.layers.affine_sampling import affine_grid, bilinear_sample

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 5, 3))
# No sample lies on a pixel's centre, where the sampler has no derivative.
THETA = np.array(
    [[[0.91, 0.32, 0.11], [-0.23, 1.12, -0.3]], [[-1.53, 0.4, 0.21], [0.31, 0.6, 0.12]]]
)
IDENTITY = np.array([[[1.0, 0, 0], [0, 1, 0]]])
LAYERS = keras.layers


def numpy(x):
    return ops.convert_to_numpy(x)


def corners(size, align_corners):
    """The normalised coordinate of each pixel, as torch's affine_grid defines both."""
    if align_corners:
        return [2 * i / (size - 1) - 1 if size > 1 else 0.0 for i in range(size)]
    return [(2 * i + 1) / size - 1 for i in range(size)]


def brute_force(images, theta, size, align_corners):
    """Equations 1 and 5, the sum over all pixels of the image."""
    batch, height, width, channels = images.shape
    out = np.zeros((batch, *size, channels))
    for b, (i, yt), (j, xt) in (
        (b, y, x)
        for b in range(batch)
        for y in enumerate(corners(size[0], align_corners))
        for x in enumerate(corners(size[1], align_corners))
    ):
        x, y = theta[b] @ [xt, yt, 1]
        if align_corners:
            x, y = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
        else:
            x, y = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
        rows = np.maximum(0, 1 - np.abs(y - np.arange(height)))
        columns = np.maximum(0, 1 - np.abs(x - np.arange(width)))
        out[b, i, j] = np.einsum("h,w,hwc->c", rows, columns, images[b])
    return out


def warp(images, theta, size, align_corners):
    return bilinear_sample(images, affine_grid(theta, *size, align_corners), align_corners)


def test_affine_grid_has_the_known_values():
    x = numpy(affine_grid(IDENTITY, 2, 4, align_corners=True))[0, ..., 0]
    np.testing.assert_allclose(x[0], [-1, -1 / 3, 1 / 3, 1], atol=1e-12)
    x, y = np.moveaxis(numpy(affine_grid(IDENTITY, 2, 4, align_corners=False))[0], -1, 0)
    np.testing.assert_allclose(x[0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(y[:, 0], [-0.5, 0.5])


def test_sampler_has_the_known_values():
    """At the corner of the image area: a quarter of the corner pixel, or all of it."""
    corner = np.full((1, 1, 1, 2), -1.0)
    ones = np.ones((1, 4, 4, 1))
    assert numpy(bilinear_sample(ones, corner, align_corners=False)).item() == 0.25
    assert numpy(bilinear_sample(ones, corner, align_corners=True)).item() == 1.0
    centre = numpy(bilinear_sample(np.arange(4.0).reshape(1, 2, 2, 1), 0 * corner))
    assert centre.item() == 1.5


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(6, 5), (4, 9), (1, 1)])
def test_warp_is_the_sum_over_all_pixels(size, align_corners):
    expected = brute_force(IMAGES, THETA, size, align_corners)
    outputs = warp(ops.convert_to_tensor(IMAGES), ops.convert_to_tensor(THETA), size, align_corners)
    np.testing.assert_allclose(numpy(outputs), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [3.0, 1e12, -np.inf])
def test_what_lies_outside_is_zero(scale):
    grid = np.full((2, 1, 1, 2), scale)
    np.testing.assert_array_equal(bilinear_sample(IMAGES, grid), np.zeros((2, 1, 1, 3)))


@pytest.mark.parametrize("align_corners", [False, True])
def test_gradients_are_those_of_differences(align_corners):
    images, theta = tf.Variable(IMAGES), tf.Variable(THETA)
    weights = np.random.default_rng(1).normal(size=(2, 4, 4, 3))

    def loss():
        return ops.sum(warp(images, theta, (4, 4), align_corners) * weights)

    with tf.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip(
        (images, theta), tape.gradient(value, [images, theta]), strict=True
    ):
        start, step = variable.numpy(), 1e-6
        for index in list(np.ndindex(*start.shape))[::7]:
            sides = []
            for sign in (1, -1):
                moved = start.copy()
                moved[index] += sign * step
                variable.assign(moved)
                sides.append(float(loss()))
            variable.assign(start)
            expected = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose(gradient.numpy()[index], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("align_corners", [False, True])
def test_it_starts_as_the_identity(align_corners):
    x = IMAGES.astype("float32")
    layer = SpatialTransformer(align_corners=align_corners)
    np.testing.assert_allclose(layer(x), x, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(layer.localise(x), np.repeat(IDENTITY, 2, 0))


def small_localisation():
    return keras.Sequential([LAYERS.Conv2D(4, 3), LAYERS.GlobalAveragePooling2D()])


@pytest.mark.parametrize("localisation, jit", [(None, False), (LAYERS.Flatten(), True)])
def test_it_learns_to_undo_a_shift(localisation, jit):
    """The loss falls by three quarters and every weight moves."""
    y, x = np.mgrid[-1:1:12j, -1:1:12j]
    blob = np.exp(-4 * (x**2 + y**2))[None, ..., None]
    images, target = np.roll(blob, 2, axis=2).repeat(4, 0), blob.repeat(4, 0)
    inputs = keras.Input((12, 12, 1))
    layer = SpatialTransformer(localisation)
    model = keras.Model(inputs, layer(inputs))
    before = [numpy(weight) for weight in layer.weights]
    model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=jit)
    losses = [model.train_on_batch(images, target) for _ in range(30)]
    assert losses[-1] < losses[0] / 4
    for weight, old in zip(layer.weights, before, strict=True):
        assert not np.array_equal(numpy(weight), old), weight.path


def with_random_transformation(layer, shape):
    layer.build(shape)
    kernel = layer.regress.kernel
    kernel.assign(np.random.default_rng(2).normal(scale=0.1, size=kernel.shape))
    return layer


@pytest.mark.parametrize("localisation, jit", [(None, False), (small_localisation(), True)])
def test_spatial_sizes_may_be_unknown(localisation, jit):
    layer = SpatialTransformer(localisation)
    with_random_transformation(layer, (None, None, None, 3))
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 3)
    model.compile(jit_compile=jit)
    for size in [(10, 9), (5, 12)]:
        x = np.random.default_rng(3).normal(size=(2, *size, 3)).astype("float32")
        expected = brute_force(x, numpy(layer.localise(x)), size, False)
        np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("output_size", [None, (4, 7)])
def test_shapes_config_and_file(output_size, tmp_path):
    net = small_localisation()
    layer = SpatialTransformer(net, output_size, align_corners=True, name="x")
    with_random_transformation(layer, (None, 6, 5, 3))
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, *(output_size or (6, 5)), 3)
    assert layer.localisation is net
    assert SpatialTransformer.from_config(layer.get_config()).get_config() == layer.get_config()
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    x = IMAGES.astype("float32")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "float64"])
def test_positions_are_exact_in_any_precision(policy):
    """224 pixels: in float16 a position would be an eighth of a pixel off."""
    x = np.broadcast_to(np.linspace(0, 1, 224)[:, None, None], (1, 224, 224, 1))
    layer = SpatialTransformer(dtype=policy, output_size=(224, 224))
    outputs = layer(ops.convert_to_tensor(x.astype("float32")))
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    assert layer.regress.compute_dtype in ("float32", "float64")
    error = {"mixed_bfloat16": 2**-8}.get(policy, 2**-11)
    np.testing.assert_allclose(numpy(ops.cast(outputs, "float32")), x, atol=error)


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({"localisation": "resnet"}, "localisation='resnet'"),
        ({"output_size": 7}, "output_size=7"),
        ({"output_size": (7, 0)}, "output_size=0"),
        ({"data_format": "channels_first"}, "data_format='channels_first'"),
    ],
)
def test_bad_arguments(arguments, received):
    with pytest.raises(ValueError) as error:
        SpatialTransformer(**arguments)
    assert f"Received: {received}" in str(error.value)


def test_a_localisation_must_give_features():
    layer = SpatialTransformer(LAYERS.Conv2D(4, 3))
    with pytest.raises(ValueError, match=r"\(batch, n\).*Received: output shape=\(None, 4, 3, 4\)"):
        layer.build((None, 6, 5, 3))


@pytest.mark.parametrize("shape", [(6, 3), (6, 5, None)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r"known number of channels\. Received"):
        SpatialTransformer()(keras.Input(shape))
