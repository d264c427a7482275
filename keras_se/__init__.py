"""Squeeze-and-Excitation, Selective Kernel and CBAM for Keras 3.

>>> import keras, keras_se
>>> features = keras.Input((56, 56, 256))
>>> keras_se.layers.SqueezeExcite(ratio=16)(features).shape
(None, 56, 56, 256)
"""

from pathlib import Path

if not Path(__file__).with_name("applications").is_dir():
    # A checkout, where the sub-packages lie beside this folder (setup.cfg, package_dir).
    __path__.append(str(Path(__file__).parents[1]))

from . import layers, training
from ._version import __version__

__all__ = ["__version__", "layers", "training"]
