"""What an Ethos-U NPU runs of our files, by Arm's compiler."""

import importlib.util
import json
import shutil

import keras
import numpy as np
import pytest

from keras_se import cli
from keras_se.applications import ResNetCIFAR
from keras_se.layers import GATES, SelectiveKernelConv2D
from keras_se.tflite import Lowering, convert, vela

needs_vela = pytest.mark.skipif(
    importlib.util.find_spec("ethosu") is None, reason='pip install "keras-se[vela]"'
)


def file_of(layer, recipe="static_int8", io=None):
    inputs = keras.Input((12, 12, 16))
    images = np.random.default_rng(0).normal(size=(4, 12, 12, 16)).astype("float32")
    return convert(keras.Model(inputs, layer(inputs)), recipe, images, io=io).model


def every_layer(x):
    """Our gates and convolutions, one after the other."""
    for gate in GATES.values():
        x = gate()(x)
    for branches in (2, 3):
        x = SelectiveKernelConv2D(16, branches=branches, groups=4)(x)
    return x


@needs_vela
def test_the_npu_runs_every_operator_of_our_layers():
    report = vela(file_of(every_layer))
    assert report.cpu_operators == ()
    assert report.npu_share == 1 and report.npu_operators == report.operators > 100
    assert report.sram_bytes > 12 * 12 * 16 and report.flash_bytes > 0 and report.dram_bytes == 0
    assert 0.01 < report.inference_ms < 10


@needs_vela
def test_what_stays_on_the_cpu_is_named_with_vela_s_reason(tmp_path, capfd):
    path = tmp_path / "m.tflite"
    path.write_bytes(file_of(keras.layers.Conv2D(4, 3, name="taps"), io="float32"))
    report = vela(path, "ethos-u85-256")
    assert [operator.name for operator in report.cpu_operators] == ["QUANTIZE", "DEQUANTIZE"]
    assert report.npu_operators == 1 and report.npu_share == 1 / 3
    assert "unsupported DataType Float32; Feature-map" in report.cpu_operators[0].reason
    arguments = ["inspect", str(path), "--vela", "--accelerator", "ethos-u85-256"]
    assert cli.main(arguments) == 0
    assert capfd.readouterr().out.endswith(f"{report}\n")
    assert cli.main([*arguments, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["vela"]["cpu_operators"][1]["name"] == "DEQUANTIZE"


@needs_vela
def test_an_npu_pools_and_swishes_faster_by_its_own_operators():
    inputs = keras.Input((32, 32, 16))
    x = keras.layers.AveragePooling2D(3, 1, padding="same")(inputs)
    x = keras.layers.Activation("hard_silu")(keras.layers.Conv2D(16, 1)(x))
    model = keras.Model(inputs, keras.layers.Add()([x, inputs]))
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 16)).astype("float32")
    reports = {
        form: vela(convert(model, "static_int8", images, lowering=lowering, io="int8").model)
        for form, lowering in {
            "for a CPU": Lowering(),
            "kept": Lowering(window_pool="keep", hard_swish="keep"),
        }.items()
    }
    assert {report.cpu_operators for report in reports.values()} == {()}
    assert reports["kept"].inference_ms < 0.7 * reports["for a CPU"].inference_ms


@needs_vela
def test_a_file_that_vela_refuses_is_an_error():
    with pytest.raises(RuntimeError, match="Vela failed with status"):
        vela(b"\x20\0\0\0TFL3" + bytes(64))


def test_without_vela_the_error_says_what_to_install(monkeypatch, tmp_path):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ImportError, match=r'pip install "keras-se\[vela\]"'):
        vela(b"\x20\0\0\0TFL3")
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_an_unknown_accelerator_is_refused():
    with pytest.raises(ValueError, match="Unknown accelerator 'npu'; expected one of"):
        vela(b"\x20\0\0\0TFL3", "npu")


@needs_vela
@pytest.mark.slow
@pytest.mark.parametrize("channel_mean", ["mean", "conv"])
@pytest.mark.parametrize("options", [{"attention": "se"}, {"attention": "cbam"}, {"conv": "sk"}])
def test_the_npu_runs_whole_networks(options, channel_mean):
    model = ResNetCIFAR(8, weights=None, **options)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), "uint8")
    lowering = Lowering(channel_mean=channel_mean)
    result = convert(model, calibration=pictures, preprocess=model.preprocess, lowering=lowering)
    assert vela(result.model).cpu_operators == ()
