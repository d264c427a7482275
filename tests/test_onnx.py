"""ONNX files: checked, run in onnxruntime, and saved whole or not at all."""

import json
import os
import sys

import keras
import numpy as np
import pytest

from keras_se import applications, tflite
from keras_se.layers import GATES, GroupedConv2D
from keras_se.tflite import onnx_export, to_onnx

layers = keras.layers
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")


def network(*middle, classes=3):
    inputs = keras.Input((16, 12, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for layer in middle:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def hard_gate(x):
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(16, 1, activation="hard_sigmoid")(gate)
    return layers.Conv2D(8, 3)(layers.Multiply()([x, gate]))


def recurrent(x):
    rows = layers.Reshape((4, 16))(layers.AveragePooling2D((4, 12))(x))
    rows = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(rows)
    return layers.Reshape((1, 1, 8))(layers.GRU(8)(rows))


def pictures(shape=(16, 12, 3), count=4):
    return np.random.default_rng(1).integers(0, 256, (count, *shape)).astype("uint8")


NETWORKS = {
    "grouped": lambda: network(layers.Conv2D(8, 3, 2, groups=4, padding="same")),
    "dilated groups": lambda: network(GroupedConv2D(8, 3, dilation_rate=2, groups=2)),
    "depthwise": lambda: network(layers.DepthwiseConv2D(3)),
    "hard sigmoid": lambda: network(hard_gate),
    "hard swish": lambda: network(layers.Activation("hard_silu"), layers.Conv2D(4, 1)),
    "gelu": lambda: network(layers.Activation("gelu")),  # by erfc, which ONNX lacks
    "normalisation": lambda: network(layers.Normalization(mean=[1.0] * 16, variance=[4.0] * 16)),
    "recurrent": lambda: network(recurrent),
    **{gate: lambda gate=gate: network(GATES[gate]()) for gate in GATES},
}


def run(path, image):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_saved_file_gives_what_keras_gives(name, tmp_path):
    model = NETWORKS[name]()
    result = to_onnx(model, tmp_path / "m.onnx", layout="nchw")
    assert result.snr_db > 90 and result.compared_on == "noise"
    image = np.random.default_rng(2).normal(size=(1, 16, 12, 3)).astype("float32")
    expected = model.predict(image, verbose=0)
    np.testing.assert_allclose(
        run(result.path, image.transpose(0, 3, 1, 2)), expected, rtol=1e-4, atol=1e-5
    )
    assert os.listdir(tmp_path) == ["m.onnx"]


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("name", ["grouped", "hard sigmoid", "se"])
def test_only_an_nhwc_input_is_transposed(name, layout, tmp_path):
    result = to_onnx(NETWORKS[name](), tmp_path / "m.onnx", layout=layout)
    assert result.operators.get("Transpose", 0) == (layout == "nhwc")
    assert result.input.shape == ((1, 16, 12, 3) if layout == "nhwc" else (1, 3, 16, 12))
    assert (result.input.name, result.output.name) == ("image", "output")


def test_a_file_of_an_open_batch_is_exported_for_one_picture(tmp_path):
    """As TensorFlow's converter makes it of a Keras model."""
    import tensorflow as tf

    model = network()
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    result = to_onnx(content, tmp_path / "m.onnx", layout="nchw")
    assert result.input.shape == (1, 3, 16, 12) and result.snr_db > 90
    image = pictures(count=1).astype("float32")
    expected = model.predict(image, verbose=0)
    np.testing.assert_allclose(
        run(result.path, image.transpose(0, 3, 1, 2)), expected, rtol=1e-4, atol=1e-4
    )


def test_int16_is_refused_before_the_export(tmp_path):
    content = tflite.convert(network(), "static_int16x8", pictures()).model
    with pytest.raises(ValueError, match=r"int16 from opset 21.*Received: a file of int16"):
        to_onnx(content, tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_the_opset_of_the_file(opset, tmp_path):
    path = to_onnx(NETWORKS["se"](), tmp_path / "m.onnx", opset).path
    assert onnx.load(path).opset_import[0].version == opset


@pytest.fixture(scope="module")
def se():
    keras.utils.set_random_seed(0)
    return applications.SEResNetCIFAR(8, weights=None, classes=4)


def test_preprocess_and_logits(se, tmp_path):
    images = pictures((32, 32, 3))
    options = {"preprocess": se.preprocess, "logits": True, "images": images}
    result = to_onnx(se, tmp_path / "m.onnx", **options)
    assert "Softmax" not in result.operators
    assert (result.images, result.compared_on) == (4, "images")
    logits = np.concatenate([run(result.path, image[None].astype("f")) for image in images])
    scores = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    expected = se.predict(se.preprocess(images), verbose=0)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["path"] == str(result.path)
    assert "SNR" in str(result)


@pytest.mark.parametrize(
    ("io", "kind"), [("uint8", "result"), ("int8", "bytes"), ("float32", "path")]
)
def test_an_int8_file_becomes_qdq_with_the_same_results(se, io, kind, tmp_path):
    images = pictures((32, 32, 3))
    converted = tflite.convert(se, "static_int8", images, io=io, preprocess=se.preprocess)
    path = converted.save(tmp_path / "m.tflite")
    source = {"result": converted, "bytes": converted.model, "path": path}[kind]
    layout = "nchw" if io == "uint8" else "nhwc"
    result = to_onnx(source, tmp_path / "m.onnx", layout=layout, images=images)
    assert result.operators["QuantizeLinear"] > 10
    assert (result.input.dtype, result.output.dtype) == (io, io)
    assert result.snr_db > 40
    runner = tflite.Runner(converted.model)
    stored = runner.inputs[0].quantize(images[0])[None]
    output = run(result.path, stored.transpose(0, 3, 1, 2) if layout == "nchw" else stored)
    assert output.dtype == io
    np.testing.assert_allclose(
        runner.outputs[0].dequantize(output), runner(images[0])[0], atol=1.01 / 256
    )


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic_int8"])
def test_other_files_keep_their_accuracy(recipe, tmp_path):
    content = tflite.convert(NETWORKS["grouped"](), recipe).model
    result = to_onnx(content, tmp_path / "m.onnx")
    assert result.snr_db > (25 if recipe == "dynamic_int8" else 90)


class Spectrum(layers.Layer):
    def call(self, inputs):
        import tensorflow as tf

        return tf.math.bessel_i0e(inputs)


def test_what_tf2onnx_only_logs_is_an_error_and_the_old_file_stays(tmp_path, capfd):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"precious")
    capfd.readouterr()
    with pytest.raises(RuntimeError, match=r"(?s)cannot be exported.*BesselI0e\] is not supported"):
        to_onnx(network(Spectrum()), path, overwrite=True)
    assert "not supported" not in capfd.readouterr().err
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["m.onnx"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda proto: proto.graph.node[0].ClearField("input"), "cannot be exported"),
        (lambda proto: setattr(proto.graph.node[-1], "op_type", "Mul"), "cannot be exported"),
        (
            lambda proto: [
                tensor.CopyFrom(
                    onnx.numpy_helper.from_array(
                        1.1 * onnx.numpy_helper.to_array(tensor), tensor.name
                    )
                )
                for tensor in proto.graph.initializer
                if tensor.data_type == onnx.TensorProto.FLOAT
            ],
            "does not reproduce its source: SNR",
        ),
    ],
)
def test_a_file_that_is_wrong_is_not_saved(change, message, tmp_path, monkeypatch):
    from tf2onnx import convert

    original = convert.from_graph_def

    def broken(*args, **kwargs):
        proto, rest = original(*args, **kwargs)
        change(proto)
        return proto, rest

    monkeypatch.setattr(convert, "from_graph_def", broken)
    with pytest.raises(RuntimeError, match=message):
        to_onnx(network(), tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"opset": 12}, ValueError, "13..18. Received: opset=12"),
        ({"layout": "NCHW"}, ValueError, "Unknown layout 'NCHW'; expected one of"),
        ({"images": np.zeros((1, 8, 8, 3))}, ValueError, "shape"),
        ({"input_size": 8}, ValueError, "input_size=8"),
        ({"model": b"no file"}, ValueError, "Not a TFLite model"),
        ({"model": b"no file", "logits": True}, ValueError, "as it is"),
        ({"model": 3}, TypeError, "Keras 3 model"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        to_onnx(**({"model": network(), "path": tmp_path / "m.onnx"} | arguments))
    assert os.listdir(tmp_path) == []


def test_a_file_is_not_overwritten_unasked(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_onnx(network(), tmp_path / "m.onnx")
    assert to_onnx(network(), tmp_path / "m.onnx", overwrite=True).path.stat().st_size > 1000


def test_a_recurrent_layer_of_many_steps_is_refused(tmp_path):
    inputs = keras.Input((300, 2, 3))
    rows = layers.Reshape((300, 6))(inputs)
    model = keras.Model(inputs, layers.LSTM(2, name="memory")(rows))
    with pytest.raises(RuntimeError, match=r"An ONNX file takes.*256 steps.*'memory' of 300 steps"):
        to_onnx(model, tmp_path / "m.onnx")


def test_a_missing_folder_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "keras_source", lambda *args: pytest.fail("work began"))
    with pytest.raises(FileNotFoundError, match=r"No such folder: .*missing"):
        to_onnx(network(), tmp_path / "missing" / "m.onnx")


def test_without_the_extra_the_error_names_the_pip_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "keras-se\[onnx\]"'):
        to_onnx(network(), tmp_path / "m.onnx")
