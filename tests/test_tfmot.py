"""Pruning, clustering and quantization in a child process, the caller's Keras untouched."""

import importlib.util
import os
import subprocess

import keras
import numpy as np
import pytest

from keras_se.layers import CBAM, SelectiveKernelConv2D, SqueezeExcite
from keras_se.tflite import (
    Tuning,
    cluster,
    compare,
    compressed_size_bytes,
    convert,
    inspect,
    lower,
    prune,
    quantize_aware,
)
from keras_se.tflite.file import flatfile
from keras_se.tflite.inputs.preprocess import add_preprocess
from keras_se.tflite.qat.canonical import canonical
from keras_se.tflite.qat.graph import trace
from keras_se.tflite.tfmot import bridge, exchange

layers = keras.layers
needs_tfmot = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="the extra tfmot is not installed",
)


class Pixels:
    mean, std, channel_order = (127.0,) * 3, (64.0,) * 3, "rgb"

    def __call__(self, images):
        return (np.asarray(images, "float32") - 127.0) / 64.0


def attention_model():
    """SE with a hard sigmoid (the two Keras differ in it), SK and CBAM."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = SqueezeExcite(ratio=4, gate="hard_sigmoid", name="se")(x)
    x = SelectiveKernelConv2D(16, groups=4, name="sk")(x)
    x = CBAM(ratio=4, name="cbam")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def pictures(count=96):
    random = np.random.default_rng(0)
    colour = random.integers(0, 200, (count, 1, 1, 3))
    images = (colour + random.integers(0, 56, (count, 16, 16, 3))).astype("uint8")
    return images, images.mean(axis=(1, 2)).argmax(axis=1)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = attention_model()
    images, labels = pictures()
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(Pixels()(images), labels, epochs=6, batch_size=16, verbose=0)
    gate = model.get_layer("se")  # dead, as one of a trained SE-ResNet-20 was:
    gate.reduce.bias.assign(np.full(gate.reduce.bias.shape, -100.0))
    gate.expand.kernel.assign(1e-7 * gate.expand.kernel)  # decay had its way
    gate.expand.bias.assign(np.linspace(-1, 1, gate.expand.bias.shape[0]))
    return model


def kernels(model):
    return {
        layer.name: layer.get_weights()[0]
        for layer in model.layers
        if type(layer) in (layers.Conv2D, layers.Dense) and layer.trainable
    }


def accuracy(model, images, labels):
    return np.mean(model.predict(images, verbose=0).argmax(axis=1) == labels)


@needs_tfmot
def test_quantization_gives_a_strict_file_and_leaves_the_callers_keras_alone(model):
    images, labels = pictures()
    before = model.get_weights()
    tuned = quantize_aware(model, Pixels(), engine="tfmot", tuning=Tuning(images, labels))
    kernel = tuned.model.get_layer("preprocess").get_weights()[0]
    np.testing.assert_array_equal(kernel[0, 0], np.eye(3, dtype="float32") / 64)
    inspection = inspect(tuned.tflite)
    assert inspection.is_strict_int8
    assert (inspection.inputs[0].scale, inspection.inputs[0].zero_point) == (1.0, 0)
    comparison = compare(tuned.model, tuned.tflite, images, labels)
    assert comparison.file_accuracy >= accuracy(model, Pixels()(images), labels) - 0.05
    file = flatfile.unpack(tuned.tflite)
    for tensor in file.subgraphs[0].tensors:
        if flatfile.dtype_name(tensor) == "int32" and file.buffers[tensor.buffer].data is not None:
            values = np.frombuffer(bytes(file.buffers[tensor.buffer].data), "int32")
            assert np.all(np.abs(values.astype("int64")) < 2**31 - 1), flatfile.tensor_name(tensor)
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    import tensorflow as tf

    assert tf.keras.__version__.startswith("3.")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@needs_tfmot
def test_pruned_kernels_hold_that_many_zeros_and_compress(model):
    images, labels = pictures()
    tuned = prune(model, Tuning(images, labels, epochs=2), sparsity=0.5, preprocess=Pixels())
    pruned = kernels(tuned.model)
    # A kernel that must keep a form is left alone: CBAM's bands.
    shares = {name: np.mean(k == 0) for name, k in pruned.items() if "spatial" not in name}
    assert all(0.4 <= share <= 0.6 for share in shares.values()), shares
    assert accuracy(tuned.model, images, labels) >= 0.8
    sparse = convert(tuned.model, "dynamic_int8", images).model
    dense = convert(model, "dynamic_int8", Pixels()(images)).model
    assert compressed_size_bytes(sparse) < compressed_size_bytes(dense)


@pytest.mark.slow
@needs_tfmot
def test_clustered_kernels_take_that_many_values(model):
    images, labels = pictures()
    tuned = cluster(model, Tuning(images, labels), clusters=8, preprocess=Pixels())
    values = {
        name: len(np.unique(k))
        for name, k in kernels(tuned.model).items()
        if k.size > 16 and "spatial" not in name
    }
    assert values and max(values.values()) <= 8, values


def test_arguments_are_checked_before_the_child_starts(model, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: pytest.fail("a child started"))
    tuning = Tuning(*pictures())
    with pytest.raises(ValueError, match="share in"):
        prune(model, tuning, sparsity=1.0)
    with pytest.raises(ValueError, match="whole number from 2"):
        cluster(model, tuning, clusters=1)
    with pytest.raises(ValueError, match="Unknown engine"):
        quantize_aware(model, engine="torch")
    with pytest.raises(ValueError, match="needs tuning="):
        quantize_aware(model, engine="tfmot")


def test_a_training_that_cannot_be_is_refused():
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"batch_size": 1.5}, {"learning_rate": 0}):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"{name} is .*Received: {name}="):
            Tuning(*pictures(), **wrong)


def head(*last):
    return keras.Sequential([keras.Input((16, 16, 3)), layers.GlobalAveragePooling2D(), *last])


@needs_tfmot
def test_only_classifiers_and_their_labels_are_trained(monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: pytest.fail("a child started"))
    images, labels = pictures(8)
    tuning = Tuning(images, labels)
    for refused in (layers.Dense(1), layers.Reshape((1, 3))):
        with pytest.raises(ValueError, match=r"at least 2 classes\. Received: output"):
            prune(head(refused), tuning)
    with pytest.raises(ValueError, match="ends in a sigmoid"):
        prune(head(layers.Dense(3, activation="sigmoid")), tuning)
    with pytest.raises(ValueError, match=r"from 0 to 2\. Received: labels from 1 to 3"):
        prune(head(layers.Dense(3)), Tuning(images, np.resize([1, 3], 8)))
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        keras.utils.save_img(tmp_path / name / "1.png", images[0])
    with pytest.raises(ValueError, match=r"3 classes .* Received: 2 folders"):
        prune(head(layers.Dense(3)), Tuning(tmp_path))


@pytest.mark.parametrize(
    ("last", "logits"),
    [
        ([layers.Dense(3)], True),
        ([layers.Dense(3, activation="softmax")], False),
        ([layers.Dense(3), layers.Softmax()], False),
        ([layers.Dense(3), layers.Softmax(), layers.Reshape((3,))], False),
    ],
)
def test_the_softmax_is_applied_once(last, logits):
    plain = canonical(lower(head(*last), batch_size=None))
    assert bridge._ends_in_logits(trace(plain)) is logits


def test_a_file_that_does_not_run_is_not_returned(tmp_path, monkeypatch):
    plain = head(layers.Dense(3))
    kernel, bias = plain.layers[-1].get_weights()
    name = plain.layers[-1].name
    np.savez(tmp_path / "tuned.npz", **{f"{name}/0": kernel, f"{name}/1": bias})
    np.save(tmp_path / "images.npy", pictures(2)[0])
    (tmp_path / "result.json").write_text('{"history": {}}')
    (tmp_path / "model.tflite").write_bytes(convert(plain, "float32").model)
    assert exchange.read_result(tmp_path, plain).tflite is not None

    def refuse(runner, image):
        raise RuntimeError("Node number 3 failed to invoke")

    monkeypatch.setattr(exchange.Runner, "__call__", refuse)
    with pytest.raises(RuntimeError, match="does not run: Node number 3"):
        exchange.read_result(tmp_path, plain)


@needs_tfmot
def test_a_failing_child_is_one_error_with_its_message(model):
    images, labels = pictures(8)
    tuning = Tuning(images, labels)
    object.__setattr__(tuning, "batch_size", 0)  # past the check
    with pytest.raises(RuntimeError, match="failed in its own process"):
        cluster(model, tuning, preprocess=Pixels())


@needs_tfmot
def test_a_model_that_normalises_pixels_itself_is_tuned_on_raw_ones(monkeypatch):
    class ChildStarts(Exception):
        pass

    def stop(folder):
        raise ChildStarts

    monkeypatch.setattr(bridge, "run_child", stop)
    images, labels = pictures(8)
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(add_preprocess(inputs, Pixels()))
    model = keras.Model(inputs, layers.Dense(3)(x))
    for tune in (prune, cluster):
        with pytest.raises(ChildStarts):
            tune(model, Tuning(images, labels), preprocess="included")
        with pytest.raises(ValueError, match=r"scaled to \[0, 1\]"):
            tune(model, Tuning(images / 255, labels), preprocess="included")
        with pytest.raises(ValueError, match='pass preprocess="included"'):
            tune(model, Tuning(images, labels), preprocess=Pixels())
