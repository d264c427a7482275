"""`quantize_aware`, natively in Keras or through TensorFlow Model Optimization."""

import keras

from ..inputs.normalisation import Normalisation
from ..tfmot.bridge import tune
from ..tfmot.tuning import Tuned, Tuning
from .quantize import quantize_native

ENGINES = ("keras", "tfmot")


def quantize_aware(
    model: keras.Model,
    preprocess: Normalisation = None,
    calibration=None,
    *,
    input_size: int | tuple[int, int] | None = None,
    engine: str = "keras",
    tuning: Tuning | None = None,
) -> keras.Model | Tuned:
    """Rebuild a trained model so that it computes as its int8 file will, and can be trained.

    The model is lowered (`keras_se.tflite.lower`), its kernels are rounded to int8 as they
    are used, and so is what every operator of the file returns. The result is an ordinary
    functional float32 model: compile it with a small learning rate (a tenth to a hundredth
    of the last one) and fit it for a few epochs; save and load it; then `convert` makes a file
    of integers alone from it, without calibration, and `strip` gives the plain model back.

    In training it rounds floats. At inference (`predict`, `evaluate`) on TensorFlow it computes
    the file's integers, as XNNPACK's kernels do, however deep it is; a sum of floats would fall
    to the other side of a border between two steps now and then, and the layers behind would
    magnify that.

    BatchNorm behind a convolution stays an ordinary layer: batch statistics in training,
    folded at conversion without a change, because every output channel of a kernel has a
    scale of its own. Freeze it with `keras_se.training.FreezeBatchNorm` if batches are small.
    CBAM's lowered 7x7 convolution is trained within its bands.
    An average pool over windows becomes a constant depthwise convolution, which XNNPACK takes, and
    one factor for each position where it is padded.

    Args:
        model: functional or Sequential, one image input and one output, any dtype policy.
            It is not changed.
        preprocess: when given, it becomes the first layer, constant, and the model takes raw
            RGB pixels in [0, 255], stored as they are in the file (scale 1). "included" says
            that the model normalises them itself, as those of `strip` and `prune` may.
        calibration: pictures that set the ranges before training, as for `calibrate_ranges`.
            None leaves that to the first batches of training.
        input_size: height and width in pixels, for a model that leaves them open.
        engine: "keras", or "tfmot": train with TensorFlow Model Optimization (extra `tfmot`)
            in a child process. Its ranges come from the training pictures.
        tuning: the training, for engine="tfmot" alone.

    Returns:
        A functional model that takes batches of any size; with engine="tfmot" a `Tuned`,
        the plain model with the trained weights and the int8 file.

    Raises:
        ImportError: for engine="tfmot" without the extra.
        RuntimeError: when its child process fails, with its message.
        TypeError: for a subclassed model.
        ValueError: for a model that is quantized already, layers without an int8 form (by
            name), a concatenation of ranges that the format fixes differently, or images
            that do not fit; all before any work on the ranges.

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3),
    ...                           keras.layers.ReLU(), keras.layers.GlobalMaxPooling2D()])
    >>> [type(layer).__name__ for layer in quantize_aware(model).layers]
    ['InputLayer', 'FakeQuant', 'QuantizedConv2D', 'ReLU', 'FakeQuant', 'GlobalMaxPooling2D']
    """
    if engine not in ENGINES:
        raise ValueError(f"Unknown engine; expected one of {ENGINES}. Received: engine={engine!r}")
    if (engine == "tfmot") != (tuning is not None) or (tuning and calibration is not None):
        raise ValueError(
            'engine="tfmot" trains by itself and needs tuning=Tuning(images, labels), and no '
            'calibration; engine="keras" takes no tuning. '
            f"Received: engine={engine!r}, tuning={tuning!r}"
        )
    if tuning is not None:
        options = {"raw_pixels": preprocess is not None}
        return tune(model, "quantize", tuning, options, preprocess, input_size)
    return quantize_native(model, preprocess, calibration, input_size)
