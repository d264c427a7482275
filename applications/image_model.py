"""The model class that every constructor returns."""

from collections.abc import Sequence

import keras

from .preprocessing import Preprocessing


@keras.saving.register_keras_serializable("keras_se")
class ImageModel(keras.Model):
    """A functional model that knows how raw pixels become its input.

    `model.preprocess(pixels)` takes pixels in [0, 255]; `model.architecture` is the
    network's name in PyTorch code, a key of `weights.ARCHITECTURES`, or None if it has
    none there; `model.class_names` names the outputs, as `keras_se.training.fit` leaves it, or
    is None. All survive saving and loading. `keras.models.clone_model` copies layers and
    nothing else: `clone.preprocess = model.preprocess`.
    """

    def __init__(
        self,
        inputs,
        outputs,
        name=None,
        *,
        preprocess: Preprocessing | None = None,
        architecture: str | None = None,
        class_names: Sequence[str] | None = None,
        **kwargs,
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self._preprocess = preprocess
        self.architecture = architecture
        self.class_names = class_names

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

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._class_names

    @class_names.setter
    def class_names(self, names: Sequence[str] | None):
        if names is not None and (len(names),) != tuple(self.output_shape[1:]):
            raise ValueError(
                f"`class_names` names each output of {self.name!r}. "
                f"Received: {len(names)} names for outputs of shape {self.output_shape}"
            )
        self._class_names = None if names is None else tuple(map(str, names))

    def get_config(self):
        own = {
            "preprocess": self._preprocess and self._preprocess.get_config(),
            "architecture": self.architecture,
            "class_names": self.class_names and list(self.class_names),
        }
        return super().get_config() | own

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        if config["preprocess"] is not None:
            config["preprocess"] = Preprocessing.from_config(config["preprocess"])
        return super().from_config(config, custom_objects=custom_objects)
