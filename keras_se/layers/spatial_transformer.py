"""Spatial Transformer: Jaderberg, Simonyan, Zisserman, Kavukcuoglu,
https://arxiv.org/abs/1506.02025.
"""

from typing import Any

import keras
from keras import ops

from ._common import check_channels_last, check_count, check_feature_map
from .affine_sampling import affine_grid, bilinear_sample

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # theta, row by row


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
            trainable=self.trainable,
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
    options: dict[str, Any] = {"data_format": "channels_last", "dtype": dtype}
    return keras.Sequential(
        [
            layers.Resizing(32, 32, **options),
            layers.Conv2D(16, 5, strides=2, activation="relu", **options),
            layers.Conv2D(32, 5, strides=2, activation="relu", **options),
            layers.Flatten(**options),
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
