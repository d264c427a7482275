"""Networks of the SE, SK and CBAM papers, called as those of `keras.applications`.

>>> model = SEResNet18(weights=None, input_shape=(64, 64, 3), classes=10)
>>> model.name, model.output_shape
('seresnet18', (None, 10))
"""

from . import (
    bn_inception,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    resnet,
    resnet_cifar,
    resnext,
    senet,
    vgg,
)
from .bn_inception import BNInception, SEBNInception
from .checkpoint import from_checkpoint, from_state_dict, to_state_dict
from .decoding import decode_predictions
from .evaluation.evaluate import Evaluation, evaluate
from .evaluation.pictures import resize_and_crop
from .features import features
from .image_model import ImageModel
from .inception_resnet_v2 import InceptionResNetV2, SEInceptionResNetV2
from .inception_v3 import InceptionV3, SEInceptionV3
from .mobilenet import MobileNet, SEMobileNet
from .preprocessing import Preprocessing
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
    SKResNeXt50,
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
from .vgg import SEVGG16BN, VGG16BN
from .weights import (
    ARCHITECTURES,
    WEIGHTS,
    DownloadError,
    Weights,
    published_weights,
)

__all__ = [
    "ARCHITECTURES",
    "WEIGHTS",
    "DownloadError",
    "Evaluation",
    "ImageModel",
    "Preprocessing",
    "Profile",
    "SKResNeXt50",
    "Weights",
    "bn_inception",
    "decode_predictions",
    "evaluate",
    "features",
    "from_checkpoint",
    "from_state_dict",
    "inception_resnet_v2",
    "inception_v3",
    "list_models",
    "mobilenet",
    "profile",
    "published_weights",
    "resnet",
    "resnet_cifar",
    "resize_and_crop",
    "resnext",
    "senet",
    "summary_table",
    "to_state_dict",
    "vgg",
    *list_models(),
]
