"""The model class that every constructor returns."""

import keras

from ..class_names import ClassNames
from .preprocessing import Preprocessing


@keras.saving.register_keras_serializable("keras_se")
class ImageModel(ClassNames):
    """A functional model that knows how raw pixels become its input.

    `model.preprocess(pixels)` takes pixels in [0, 255]; `model.architecture` is the
    network's name in PyTorch code, a key of `weights.ARCHITECTURES`, or None if it has
    none there; `model.class_names` names the outputs for `decode_predictions`, as
    `keras_se.training.fit` leaves it, or is None. All survive saving and loading.
    `keras.models.clone_model` copies layers and nothing else:
    `clone.preprocess = model.preprocess`. Keras' old format, model.h5, asks for the class
    when it is loaded: `load_model(path, custom_objects={"ImageModel": ImageModel})`.
    """

    def __init__(
        self,
        inputs,
        outputs,
        name=None,
        *,
        preprocess: Preprocessing | None = None,
        architecture: str | None = None,
        **kwargs,
    ):
        super().__init__(inputs, outputs, name, **kwargs)
        self._preprocess = preprocess
        self.architecture = architecture

    @property
    def preprocess(self) -> Preprocessing:
        if self._preprocess is None:
            raise AttributeError(
                f"'{self.name}' does not know how its pixels are normalised, as a model made by "
                "`keras.models.clone_model`. Set `clone.preprocess = model.preprocess`."
            )
        return self._preprocess

    @preprocess.setter
    def preprocess(self, preprocess: Preprocessing):
        self._preprocess = preprocess

    def get_config(self):
        own = {
            "preprocess": self._preprocess and self._preprocess.get_config(),
            "architecture": self.architecture,
        }
        return super().get_config() | own

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if config["preprocess"] is not None:
            config["preprocess"] = Preprocessing.from_config(config["preprocess"])
        return super().from_config(config, custom_objects=custom_objects)
