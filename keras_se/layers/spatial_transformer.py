"""Spatial Transformer: Jaderberg, Simonyan, Zisserman, Kavukcuoglu,
https://arxiv.org/abs/1506.02025.
"""

import keras
from keras import ops

from ._common import check_channels_last, check_count, check_feature_map

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def affine_grid(theta, height: int, width: int, align_corners: bool = False):
    """Where each output pixel is sampled (equation 1).

        (x, y) = theta (xt, yt, 1), with xt and yt from -1 (left, top) to 1 (right, bottom)

    Args:
        theta: (batch, 2, 3).
        height: int, of the output, in pixels.
        width: int, of the output, in pixels.
        align_corners: bool. True puts -1 and 1 on the centres of the outermost pixels,
            xt = 2 i / (width - 1) - 1 (0 for a single pixel); False on their outer edges,
            xt = (2 i + 1) / width - 1. PyTorch's `affine_grid` has the same two.

    Returns:
        (batch, height, width, 2) of the dtype of theta: x, then y.
    """
    x, y = (_axis(size, align_corners, theta.dtype) for size in (width, height))
    grid = ops.stack([*ops.meshgrid(x, y), ops.ones((height, width), theta.dtype)], axis=-1)
    # not a matrix product, which a GPU may compute with 11 bits (TF32)
    return ops.sum(grid[None, :, :, None] * theta[:, None, None], axis=-1)


def _axis(size, align_corners, dtype):
    steps = ops.cast(ops.arange(size), dtype)
    if align_corners:
        return steps * (2 / ops.cast(ops.maximum(size - 1, 1), dtype)) - ops.cast(size > 1, dtype)
    return (2 * steps + 1) / ops.cast(size, dtype) - 1


def bilinear_sample(images, grid, align_corners: bool = False):
    """Read images at fractional positions (equation 5); 0 outside of them.

        v = sum over n, m of u[n, m] max(0, 1 - |x - m|) max(0, 1 - |y - n|)

    Differentiable in both arguments (equations 6 and 7).

    Args:
        images: (batch, height, width, channels).
        grid: (batch, new height, new width, 2), x and y as in `affine_grid`.
        align_corners: bool, as in `affine_grid`.

    Returns:
        (batch, new height, new width, channels) of the dtype of the images.
    """
    batch, height, width, channels = ops.shape(images)
    x, y = _pixels(grid[..., 0], width, align_corners), _pixels(grid[..., 1], height, align_corners)
    left, top = ops.floor(x), ops.floor(y)
    pixels = ops.reshape(images, (-1, channels))
    first = ops.reshape(ops.arange(batch) * (height * width), (-1, 1, 1))
    total = 0
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - ops.abs(x - column)) * (1 - ops.abs(y - row))
            inside = _within(row, height) & _within(column, width)
            weight = ops.where(inside, weight, 0)[..., None]
            index = first + _index(row, height) * width + _index(column, width)
            value = ops.take(pixels, index, axis=0)
            total = total + ops.cast(value, weight.dtype) * weight
    return ops.cast(total, images.dtype)


def _pixels(position, size, align_corners):
    """Positions in [-1, 1] as fractional pixel indices."""
    size = ops.cast(size, position.dtype)
    return (position + 1) * (size - 1) / 2 if align_corners else ((position + 1) * size - 1) / 2


def _within(index, size):
    return (index >= 0) & (index < ops.cast(size, index.dtype))


def _index(position, size):
    return ops.clip(ops.cast(position, "int32"), 0, size - 1)


@keras.saving.register_keras_serializable("keras_se")
class SpatialTransformer(keras.layers.Layer):
    """Warps its input by an affine transformation that it predicts from it (section 3).

        theta = W f(x) + b           f: localisation network, theta: (b, 2, 3)
        y = bilinear samples of x at theta (xt, yt, 1)

    W starts at zero and b at the identity, so the layer starts as a resize to
    `output_size`, and as the identity without one. Positions and weights are computed in
    float32 at least: in float16 a position in a 224 pixel image is 1/8 pixel coarse.
    It has no lowered form: a converted file gets TensorFlow's own operators, gathers
    included.

    Args:
        localisation: a layer or model that turns (b, height, width, channels) into
            features (b, n). None for a small default on a 32x32 copy of the input.
        output_size: None, or (height, width) of the output in pixels.
        align_corners: bool. Whether -1 and 1 are the centres of the outermost pixels
            (True) or their outer edges (False); see `affine_grid`.
        data_format: None or "channels_last"; nothing else is supported.

    Call arguments:
        inputs: (batch, height, width, channels), height and width may be unknown.
        training: bool, for the localisation network.

    Returns:
        (batch, *output_size or height and width, channels), of the dtype of `inputs`.

    Raises:
        ValueError: for a localisation that is no layer or does not give (b, n), an output
            size that is no pair of positive whole numbers, an input of another rank or
            with unknown channels, or a channels-first data format.

    >>> tuple(SpatialTransformer(output_size=(4, 5))(keras.ops.ones((1, 7, 7, 16))).shape)
    (1, 4, 5, 16)
    """

    def __init__(
        self,
        localisation: keras.layers.Layer | None = None,
        output_size: tuple[int, int] | None = None,
        align_corners: bool = False,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_channels_last(self, data_format)
        if not isinstance(localisation, keras.layers.Layer | None):
            raise ValueError(
                f"`localisation` must be a layer or None. Received: localisation={localisation!r}"
            )
        if output_size is not None:
            output_size = _check_size(output_size)
        self.localisation = localisation or default_localisation(self.dtype_policy)
        self.output_size = output_size
        self.align_corners = align_corners

    def build(self, input_shape):
        check_feature_map(self, input_shape)
        if not self.localisation.built:
            self.localisation.build(input_shape)
        features = self.localisation.compute_output_shape(input_shape)
        if len(features) != 2 or features[-1] is None:
            raise ValueError(
                f"The localisation of SpatialTransformer '{self.name}' must give features "
                f"(batch, n); end it with a pooling or a Flatten of a known size. "
                f"Received: output shape={features}"
            )
        self.regress = keras.layers.Dense(
            6,
            kernel_initializer="zeros",
            bias_initializer=_identity,
            dtype=self._position_dtype(),
            name="regress",
        )
        self.regress.build(features)

    def _position_dtype(self):
        return "float64" if self.compute_dtype == "float64" else "float32"

    def localise(self, inputs, training=None):
        """Affine transformations of a batch of feature maps: (batch, 2, 3)."""
        features = self.localisation(inputs, training=training)
        theta = self.regress(ops.cast(features, self._position_dtype()))
        return ops.reshape(theta, (-1, 2, 3))

    def call(self, inputs, training=None):
        height, width = self.output_size or ops.shape(inputs)[1:3]
        theta = self.localise(inputs, training)
        grid = affine_grid(theta, height, width, self.align_corners)
        return bilinear_sample(inputs, grid, self.align_corners)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(self.output_size or input_shape[1:3]), input_shape[-1])

    def get_config(self):
        return super().get_config() | {
            "localisation": keras.saving.serialize_keras_object(self.localisation),
            "output_size": self.output_size,
            "align_corners": self.align_corners,
        }

    @classmethod
    def from_config(cls, config):
        localisation = keras.saving.deserialize_keras_object(config["localisation"])
        return cls(**config | {"localisation": localisation})


def default_localisation(dtype=None) -> keras.Sequential:
    """Two strided convolutions and a dense layer, on the input resized to 32x32."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Resizing(32, 32, dtype=dtype),
            layers.Conv2D(16, 5, strides=2, activation="relu", dtype=dtype),
            layers.Conv2D(32, 5, strides=2, activation="relu", dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(32, activation="relu", dtype=dtype),
        ],
        name="localisation",
    )


def _identity(shape, dtype=None):
    return ops.convert_to_tensor(IDENTITY, dtype=dtype)


def _check_size(size) -> tuple[int, int]:
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise ValueError(
            f"`output_size` must be (height, width) in pixels. Received: output_size={size!r}"
        )
    height, width = (check_count("output_size", value) for value in size)
    return height, width
