"""Networks of the SE, SK and CBAM papers, called as those of `keras.applications`.

>>> model = SEResNet18(input_shape=(64, 64, 3), classes=10)
>>> model.name, model.output_shape
('seresnet18', (None, 10))
"""

from . import resnet, resnet_cifar, resnext, senet
from .features import features
from .image_model import ImageModel
from .preprocessing import Preprocessing, decode_predictions
from .profile import Profile, profile
from .registry import list_models, summary_table
from .resnet import (
    CBAMResNet18,
    CBAMResNet34,
    CBAMResNet50,
    CBAMResNet101,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    SEResNet18,
    SEResNet34,
    SEResNet50,
    SEResNet50T,
    SEResNet101,
    SEResNet152,
    SEResNet152D,
    SKNet26,
    SKNet50,
    SKNet101,
    SKNet152,
    SKResNet18,
    SKResNet34,
)
from .resnet_cifar import ResNetCIFAR, SEResNetCIFAR, SKNet29
from .resnext import (
    CBAMResNeXt50,
    ResNeXt50,
    ResNeXt101,
    SEResNeXt26,
    SEResNeXt26D,
    SEResNeXt26T,
    SEResNeXt50,
    SEResNeXt101,
    SEResNeXt101_32x8d,
    SEResNeXt101_64x4d,
    SEResNeXt101D_32x8d,
)
from .senet import SENet154
from .state_dict import from_state_dict

__all__ = [
    "ImageModel",
    "Preprocessing",
    "Profile",
    "decode_predictions",
    "features",
    "from_state_dict",
    "list_models",
    "profile",
    "resnet",
    "resnet_cifar",
    "resnext",
    "senet",
    "summary_table",
    *list_models(),
]
