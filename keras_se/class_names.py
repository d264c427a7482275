"""Models that know what their classes are called."""

from collections.abc import Sequence

import keras


class ClassNames(keras.Model):
    """A functional model whose `class_names` name its outputs, or are None; kept in its file."""

    def __init__(
        self, inputs, outputs, name=None, *, class_names: Sequence[str] | None = None, **kwargs
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.class_names = class_names

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
        return super().get_config() | {"class_names": self.class_names and list(self.class_names)}
