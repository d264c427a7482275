"""The model class that every constructor returns."""

import keras

from .preprocessing import Preprocessing


@keras.saving.register_keras_serializable("keras_se")
class ImageModel(keras.Model):
    """A functional model that knows how raw pixels become its input.

    `model.preprocess(pixels)` takes pixels in [0, 255]; `model.architecture` is the
    network's name in PyTorch code, a key of `weights.ARCHITECTURES`, or None if it has
    none there. Both survive saving and loading.
    """

    def __init__(
        self,
        inputs,
        outputs,
        name=None,
        *,
        preprocess: Preprocessing,
        architecture: str | None = None,
        **kwargs,
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.preprocess = preprocess
        self.architecture = architecture

    def get_config(self):
        own = {"preprocess": self.preprocess.get_config(), "architecture": self.architecture}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["preprocess"] = Preprocessing.from_config(config["preprocess"])
        return super().from_config(config, custom_objects=custom_objects)
