"""Saturated gates in int8: the range of their logits, and what the kernels allow."""

import keras
import numpy as np
import pytest

from keras_se.layers import CBAM, SqueezeExcite
from keras_se.tflite import Images, convert
from keras_se.tflite.file import flatfile
from keras_se.tflite.quantization import int8
from keras_se.tflite.quantization.saturation import best_range, clip_logits

layers = keras.layers
IMAGES = np.random.default_rng(1).normal(size=(16, 12, 12, 3)).astype("float32")


def gated(bias, gate=SqueezeExcite):
    """Three gates; a quarter of the channels is shut, a quarter open, the others in between."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((12, 12, 3))
    for _ in range(3):
        layer = gate(ratio=4)
        x = layer(layers.Conv2D(16, 3, padding="same", activation="relu")(x))
        expand = layer.expand if gate is SqueezeExcite else layer.channel.expand
        expand.kernel.assign(expand.kernel * 4)
        expand.bias.assign(np.resize([-bias, 0.0, 0.0, bias], 16))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    ("recipe", "bias", "gate"),
    [("static_int8", 300.0, SqueezeExcite), ("mixed_int8", 60.0, CBAM)],
)
def test_channels_between_saturated_ones_keep_their_gates(recipe, bias, gate, monkeypatch):
    report = convert(gated(bias, gate=gate), recipe, IMAGES).report
    assert report.inspection.partitions == 1
    monkeypatch.setattr(int8, "clip_logits", lambda *arguments: None)
    without = convert(gated(bias, gate=gate), recipe, IMAGES).report.comparison
    assert report.comparison.snr_db > max(29, without.snr_db + 5)


def test_a_narrower_range_that_does_not_pay_is_not_used(monkeypatch):
    model = gated(300.0)
    expected = convert(model, "static_int8", IMAGES).model
    monkeypatch.setattr(int8, "clip_logits", lambda *arguments: None)
    plain = convert(model, "static_int8", IMAGES).model
    assert plain != expected

    def shut(calibrated, images):
        clipped = flatfile.unpack(clip_logits(calibrated, images))
        for tensor in clipped.subgraphs[0].tensors:
            if tensor.quantization is not None and tensor.quantization.max is not None:
                tensor.quantization.max = [float(tensor.quantization.max[0]) / 10]
        return flatfile.pack(clipped)

    monkeypatch.setattr(int8, "clip_logits", shut)
    assert convert(model, "static_int8", IMAGES).model == plain


def test_usual_gates_keep_their_ranges():
    calibrated = []

    def seen(content, images):
        calibrated.append(content)
        return clip_logits(content, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "clip_logits", seen)
        convert(gated(0.0), "static_int8", IMAGES)
    assert clip_logits(calibrated[0], Images(IMAGES)) is None


def test_best_range():
    even = np.linspace(-3, 3, 999)
    assert best_range(even, -3, 3) == (-3, 3)
    wide = np.r_[even, -400, 150]
    low, high = best_range(wide, -400, 150)
    assert -12 <= low <= -5
    assert 5 <= high <= 12
    assert best_range(wide, -400, 150, finest=20 / 255) not in ((-400, 150), (low, high))
    assert best_range(wide, -400, 150, finest=1.0) == (-400, 150)
    shut = np.linspace(-400, -300, 99)  # a gate that is always shut
    assert best_range(shut, -400, 0) == (-400, 0)


def test_a_result_far_finer_than_its_products_still_runs():
    """LiteRT ends the process, or refuses the file, where a multiplier is 256."""
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")
    images[..., 3] = -images[..., :3].sum(-1) + images[..., 3] / 200_000
    cancel, inputs = layers.Conv2D(1, 1, use_bias=False), keras.Input((8, 8, 4))
    model = keras.Model(inputs, layers.Conv2D(3, 1)(layers.MaxPooling2D(2)(cancel(inputs))))
    cancel.kernel.assign(np.ones((1, 1, 4, 1)))
    report = convert(model, "static_int8", images).report
    assert report.comparison.snr_db < 30
    assert report.worst_layers[0].reason.startswith("coarse scale")


def test_a_kernel_too_large_for_a_finer_step_still_runs():
    """Narrower ranges would serve three channels of four, and the process would end."""
    model = gated(30.0)
    for layer in model.layers:
        if isinstance(layer, SqueezeExcite):
            large = np.resize([1e6, 1, 1, 1], 16)
            layer.expand.kernel.assign(layer.expand.kernel * large)
    report = convert(model, "mixed_int8", IMAGES).report
    assert report.inspection.partitions == 1
    assert report.comparison.snr_db > 30 or report.worst_layers or report.spread_loss
