"""The layers and networks on whichever backend Keras runs: `make test-backends`.

The expectations come from NumPy or from the lowered form, never from another backend.
"""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_se.applications import SEResNetCIFAR, registry
from keras_se.applications.blocks.branches import BranchedSpec
from keras_se.applications.construction.choices import customise
from keras_se.applications.construction.constructor import constructor
from keras_se.applications.construction.spec import Variant
from keras_se.applications.preprocessing import IMAGENET, Preprocessing
from keras_se.explain import grad_cam
from keras_se.layers import (
    CONVS,
    GATES,
    DilatedAverage,
    GroupedConv2D,
    PaddedShortcut,
    ResidualTail,
    SqueezeExcite,
)
from keras_se.lowering import lower_layer
from keras_se.surgery import insert, remove, replace
from keras_se.surgery.identity import STARTS

MAKERS = {
    **GATES,
    **{name: partial(conv, 64, strides=2, groups=4) for name, conv in CONVS.items()},
    "grouped": partial(GroupedConv2D, 64, 3, padding="same", groups=4),
    "shortcut": partial(PaddedShortcut, 64, strides=2),
    "average": partial(DilatedAverage, 2),
}
PROGRAM = Path(__file__).with_name("compilations.py")
X = np.random.default_rng(0).normal(size=(2, 9, 8, 32)).astype("float32")


@pytest.fixture(params=MAKERS.values(), ids=MAKERS.keys())
def make(request):
    return request.param


def built(layer, shape=X.shape):
    """The layer with deterministic weights: scales and variances between 0.5 and 1.5."""
    rng = np.random.default_rng(1)
    layer.build(shape)
    for weight in layer.weights:
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(
            rng.uniform(0.5, 1.5, weight.shape)
            if positive
            else rng.normal(scale=0.3, size=weight.shape)
        )
    return layer


def evaluate(layer, inputs=X):
    return ops.convert_to_numpy(layer(inputs, training=False))


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_forward_equals_the_lowered_layer(make):
    layer = built(make())
    inputs = keras.Input(X.shape[1:])
    lowered = keras.Model(inputs, lower_layer(layer, inputs, "lowered"))
    close(evaluate(layer), evaluate(lowered))


def test_config_round_trip(make):
    layer = make(name="x")
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_every_weight_trains(make):
    """Three steps: a scale that starts at zero stops what lies before it in the first."""
    layer = make()
    inputs = keras.Input(X.shape[1:])
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1)(layer(inputs)))
    before = [ops.convert_to_numpy(weight).copy() for weight in layer.weights]
    model.compile(keras.optimizers.SGD(0.5), "mse")
    target = np.random.default_rng(2).normal(size=(2, *model.output_shape[1:]))
    assert np.isfinite([model.train_on_batch(X, target) for _ in range(3)]).all()
    for weight, old in zip(layer.weights, before, strict=True):
        assert not np.array_equal(ops.convert_to_numpy(weight), old), weight.path


def test_spatial_sizes_may_be_unknown(make):
    layer = built(make())
    inputs = keras.Input((None, None, 32))
    close(keras.Model(inputs, layer(inputs)).predict_on_batch(X), evaluate(layer))


def test_a_float16_squeeze_of_a_large_map_does_not_overflow():
    x = np.random.default_rng(0).uniform(40, 100, (1, 112, 112, 32)).astype("float16")
    layer = SqueezeExcite(dtype="mixed_float16")
    layer.build(x.shape)
    full = SqueezeExcite()
    full.build(x.shape)
    for target in (layer, full):
        target.set_weights([np.full(w.shape, 1e-3) for w in layer.weights])
    expected = evaluate(full, x.astype("float32"))
    np.testing.assert_allclose(evaluate(layer, x), expected, rtol=3e-3)


def test_squeeze_excite_equation():
    layer = built(SqueezeExcite(ratio=4))
    w1, b1, w2, b2 = layer.get_weights()
    logits = np.maximum(X.mean((1, 2)) @ w1 + b1, 0) @ w2 + b2
    close(evaluate(layer), X / (1 + np.exp(-logits))[:, None, None])


def test_grouped_convolution_equation():
    """One output pixel by hand, each group on its own."""
    layer = built(GroupedConv2D(64, 3, groups=4))
    kernel, bias = layer.get_weights()
    pixels = np.split(X[:, 2:5, 3:6], 4, -1)
    parts = zip(pixels, np.split(kernel, 4, -1), strict=True)
    expected = np.concatenate([np.einsum("nijc,ijcf->nf", p, k) for p, k in parts], -1) + bias
    close(evaluate(layer)[:, 2, 3], expected)


def test_padded_shortcut_equation():
    expected = np.pad(X[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, 32)))
    np.testing.assert_array_equal(evaluate(PaddedShortcut(64, strides=2)), expected)


@pytest.mark.parametrize("gate", [None, *GATES.values()])
def test_residual_tail(gate):
    layer = built(ResidualTail(gate and gate()), [X.shape, X.shape])
    y = evaluate(layer.norm)
    y = evaluate(layer.gate, y) if gate else y
    close(evaluate(layer, [X, X]), np.maximum(y + X, 0))


def test_a_network_runs_and_trains():
    model = SEResNetCIFAR(20)
    pictures = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    probabilities = model.predict_on_batch(pictures)
    close(probabilities.sum(-1), 1)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(model.train_on_batch(pictures, np.array([0, 1])))


def short(spec):
    """A network with two blocks in its first stage and one in each other, none repeated."""
    if hasattr(spec, "depths"):
        depths = [min(2, spec.depths[0])] + [1] * (len(spec.depths) - 1)
        return dataclasses.replace(spec, depths=tuple(depths))
    if isinstance(spec, BranchedSpec):
        once = [next(equal) for _, equal in groupby(spec.layers, itemgetter(1))]
        return dataclasses.replace(spec, layers=tuple(once))
    return spec


def kinds_of_network():
    """Every network, shortened; one of those that differ in their depth alone."""
    no_part = {"name": "", "imagenet_trunk": None, "preprocess": IMAGENET}
    kinds = {}
    for name, made in registry.MODELS.items():
        variants = {"short": Variant(0, 0.0)}
        spec = dataclasses.replace(short(customise(made.spec)), variants=variants)
        kind = repr(dataclasses.replace(spec, **no_part))
        kinds.setdefault(kind, pytest.param(spec, id=name))
    return kinds.values()


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="XLA is TensorFlow's and JAX's")
@pytest.mark.parametrize("spec", kinds_of_network())
def test_every_network_trains_a_step_under_xla(spec):
    size = spec.min_size
    model = constructor(spec, "Short.")(weights=None, input_shape=(size, size, 3), classes=5)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", jit_compile=True)
    before = [ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
    pictures = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    assert np.isfinite(model.train_on_batch(pictures, np.array([0, 1])))
    after = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    # A scale or gate that starts at zero holds back what lies before it, in the first step.
    assert np.mean([np.any(old != new) for old, new in zip(before, after, strict=True)]) > 0.5


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="XLA is TensorFlow's and JAX's")
def test_xla_compiles_once_for_every_size(tmp_path):
    """In training and prediction, of fixed and unknown sizes: the first step of each, no other."""
    flags = f"--xla_dump_to={tmp_path} --xla_backend_optimization_level=0"  # takes less time
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(PROGRAM.parents[1])}
    command = [sys.executable, PROGRAM, tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = set()
    for kind, method, size, programs in json.loads(done.stdout.splitlines()[-1]):
        seen.add((kind, method, *size))
        assert set(programs) == {len(seen)}, (kind, method, size, programs)
    assert len(seen) == 6


def test_preprocessing_of_tensors_is_that_of_arrays():
    preprocess = Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "bgr")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), "uint8")
    close(preprocess(ops.convert_to_tensor(pixels)), preprocess(pixels))


def test_grad_cam_leaves_the_weights_without_gradients():
    model = SEResNetCIFAR(8)
    maps = grad_cam(model, np.random.default_rng(0).normal(size=(2, 32, 32, 3)))
    assert maps.shape == (2, 32, 32) and np.isfinite(maps).all()
    if keras.backend.backend() == "torch":
        assert all(weight.value.grad is None for weight in model.trainable_weights)


def classifier():
    """Conv, BatchNorm, ReLU and a classifier, with weights as of `built`."""
    inputs = keras.Input(X.shape[1:])
    x = keras.layers.Conv2D(32, 3, padding="same", name="conv")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return built(keras.Model(inputs, keras.layers.Dense(3, "softmax")(x)))


def trains_and_is_saved(model, tmp_path):
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(X, np.array([0, 1]), verbose=0).history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    close(loaded.predict_on_batch(X), evaluate(model))


@pytest.mark.parametrize("gate", STARTS)
def test_surgery_starts_as_the_identity_and_trains(gate, tmp_path):
    model = classifier()
    before = evaluate(model)
    options = {"variant": "theta"} if gate == "ge" else {}
    gated = insert(model, gate, after="conv", **options)
    close(evaluate(gated), before)
    close(evaluate(remove(gated)), before)
    trains_and_is_saved(gated, tmp_path)


def test_a_selective_kernel_starts_as_the_convolution_and_trains(tmp_path):
    model = classifier()
    selective = replace(model, ratio=4)
    close(evaluate(selective), evaluate(model))
    trains_and_is_saved(selective, tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_jax_does_without_tensorflow():
    code = (
        "import sys, keras_se, keras_se.applications, keras_se.training;"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] == 'tensorflow'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
