"""Random small networks of our layers, converted with random recipes.

`make test-slow` tries many; `FUZZ_EXAMPLES=300 python -m pytest tests/test_tflite_fuzz.py -m slow`
sets their number.
"""

import os
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from keras_se.layers import (
    CONVS,
    GATES,
    BatchNorm,
    GroupedConv2D,
    PaddedShortcut,
    ResidualTail,
)
from keras_se.layers.gate_functions import GATE_FUNCTIONS
from keras_se.tflite import RECIPES, Lowering, convert

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
layers = keras.layers

# Of the output's largest magnitude, and in dB; an int8 file below its bound must say why.
FLOAT32_TOLERANCE = 1e-4
MIN_SNR_DB = {
    "float16": 40,
    "dynamic_int8": 20,
    "static_int8": 20,
    "mixed_int8": 20,
    "static_int16x8": 30,
}
SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": (hypothesis.Phase.generate,),  # shrinking takes minutes, and a `Network` is small
    "suppress_health_check": list(hypothesis.HealthCheck),
}


@dataclass(frozen=True)
class Block:
    """One step of a network: a builder of `BLOCKS` and its options."""

    name: str
    options: tuple = ()

    def __call__(self, x):
        return BLOCKS[self.name](x, **dict(self.options))


@dataclass(frozen=True)
class Network:
    """What a random network is built from; its repr builds it again."""

    height: int
    width: int
    channels: int
    seed: int
    blocks: tuple[Block, ...]
    head: str

    def build(self) -> keras.Model:
        keras.utils.set_random_seed(self.seed)
        inputs = x = keras.Input((self.height, self.width, self.channels))
        for block in self.blocks:
            x = block(x)
        if self.head != "map":
            x = layers.GlobalAveragePooling2D()(x)
            x = layers.Dense(5, activation=None if self.head == "logits" else self.head)(x)
        model = keras.Model(inputs, x)
        random = np.random.default_rng(self.seed)
        for weight in model.weights:
            weight.assign(_trained(weight, random))
        return model


def _trained(weight, random):
    """Values as training might leave them: no BatchNorm stays the identity, no bias zero."""
    value = np.asarray(weight)
    name = weight.path.rsplit("/", 1)[-1]
    if name in ("gamma", "moving_variance"):
        return value * random.uniform(0.5, 1.5, value.shape)
    if name in ("beta", "bias", "moving_mean"):
        return value + random.normal(0, 0.2, value.shape)
    return value


def _gate(x, kind, **options):
    return GATES[kind](**options)(x)


def _conv(x, kind, **options):
    return CONVS[kind](x.shape[-1], **options)(x)


def _grouped(x, groups, **options):
    return GroupedConv2D(x.shape[-1], groups=groups, padding="same", **options)(x)


def _tail(x, gate, strides, activation):
    residual = layers.Conv2D(x.shape[-1], 3, strides, padding="same", use_bias=False)(x)
    shortcut = x if strides == 1 else PaddedShortcut(x.shape[-1], strides)(x)
    if gate is not None:  # with a ratio that is not larger than the channels
        ratio = {"ratio": 4} if "ratio" in GATES[gate]().get_config() else {}
        gate = GATES[gate](**ratio)
    return ResidualTail(gate=gate, activation=activation)([residual, shortcut])


def _conv_norm_act(x, norm, activation, **options):
    x = layers.Conv2D(x.shape[-1], **options)(x)
    x = norm()(x) if norm else x
    return layers.Activation(activation)(x)


BLOCKS = {
    "gate": _gate,
    "conv": _conv,
    "grouped": _grouped,
    "tail": _tail,
    "plain": _conv_norm_act,
    "depthwise": lambda x, **options: layers.DepthwiseConv2D(3, padding="same", **options)(x),
    "separable": lambda x, **options: layers.SeparableConv2D(8, 3, padding="same", **options)(x),
    "wider": lambda x: layers.Conv2D(2 * x.shape[-1], 1)(x),
    "norm": lambda x: layers.BatchNormalization()(x),
    "activation": lambda x, function: layers.Activation(function)(x),
    "max pool": lambda x: layers.MaxPooling2D(2, padding="same")(x),
    "average pool": lambda x: layers.AveragePooling2D(3, 1, padding="same")(x),
    "pad": lambda x: layers.ZeroPadding2D(1)(x),
    "concatenate": lambda x: layers.Concatenate()([x, layers.Conv2D(8, 1)(x)]),
    "add": lambda x: layers.Add()([x, layers.Conv2D(x.shape[-1], 3, padding="same")(x)]),
    "dropout": lambda x: layers.Dropout(0.5)(x),
}
ACTIVATIONS = ("relu", "relu6", "silu", "hard_silu", "leaky_relu", "tanh", "sigmoid", "gelu", "elu")
GATE_OPTIONS = {"ratio": (1, 2, 4, 8), "gate": tuple(GATE_FUNCTIONS)}


def _block(name, **options):
    """Blocks of one name with every combination of some options."""
    chosen = st.fixed_dictionaries({key: st.sampled_from(v) for key, v in options.items()})
    return chosen.map(lambda values: Block(name, tuple(values.items())))


def _gate_block(gate):
    taken = GATES[gate]().get_config()
    return _block("gate", kind=(gate,), **{k: v for k, v in GATE_OPTIONS.items() if k in taken})


blocks = st.one_of(
    *map(_gate_block, GATES),
    *(
        _block("conv", kind=(c,), branches=(2, 3), groups=(1, 2, 4), strides=(1, 2),
               split_input=(False,), ratio=(2, 8))
        for c in CONVS
    ),
    _block("grouped", groups=(2, 4), kernel_size=(1, 3), strides=(1, 2), use_bias=(False, True)),
    _block("grouped", groups=(2, 4), kernel_size=(3,), dilation_rate=(2,)),
    _block("tail", gate=(None, *GATES), strides=(1, 2), activation=("relu", "silu", None)),
    _block("plain", norm=(None, BatchNorm, layers.BatchNormalization), kernel_size=(1, 3),
           strides=(1, 2), padding=("same", "valid"), activation=ACTIVATIONS),
    _block("depthwise", strides=(1, 2)),
    _block("separable", activation=("relu", None)),
    _block("activation", function=ACTIVATIONS),
    *map(_block, ("wider", "norm", "max pool", "average pool", "pad", "concatenate", "add",
                  "dropout")),
)  # fmt: skip
networks = st.builds(
    Network,
    height=st.integers(8, 16),
    width=st.integers(8, 16),
    channels=st.sampled_from((8, 12, 16)),
    seed=st.integers(0, 999),
    blocks=st.lists(blocks, min_size=1, max_size=5).map(tuple),
    head=st.sampled_from(("map", "logits", "softmax", "sigmoid")),
)
lowerings = st.builds(
    Lowering,
    fold_squeeze=st.booleans(),
    groups=st.sampled_from(("auto", "keep", "dense")),
    channel_mean=st.sampled_from(("mean", "conv")),
)


def check(network, recipe, lowering):
    """Convert, and compare with Keras on the images that calibrated the file."""
    try:
        model = network.build()
    except ValueError as error:  # strides and valid convolutions that leave no pixel
        if "Computed output size would be" not in str(error):
            raise
        hypothesis.reject()
    shape = (16, network.height, network.width, network.channels)
    images = np.random.default_rng(network.seed).normal(size=shape).astype("float32")
    magnitude = float(np.abs(model.predict(images, verbose=0)).max())
    if not 1e-3 < magnitude < 1e6:  # nothing left, or nothing that float16 holds
        hypothesis.reject()
    report = convert(model, recipe, images, lowering=lowering).report
    comparison = report.comparison
    if recipe == "float32":
        assert comparison.max_abs_error <= FLOAT32_TOLERANCE * magnitude
    elif comparison.snr_db < MIN_SNR_DB[recipe]:
        print(f"{recipe} {comparison.snr_db:.1f} dB: {network}\n{report}")
        reasons = [layer.reason for layer in report.worst_layers if layer.reason]
        assert report.small_gates or reasons or report.spread_loss


def of(*blocks, head):
    return Network(10, 9, 12, 0, tuple(Block(name, tuple(o.items())) for name, o in blocks), head)


# What the search has found, mended since.
FOUND = {
    "a bias shared by inputs of two scales": (
        of(("gate", {"kind": "cbam", "ratio": 2}), head="map"),
        "static_int16x8",
    ),
    "a gate in float, and a sigmoid at the end": (
        of(("gate", {"kind": "se", "ratio": 2}), head="sigmoid"),
        "mixed_int8",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(name):
    check(*FOUND[name], Lowering())


@hypothesis.settings(max_examples=5, **SETTINGS)
@hypothesis.given(networks, st.sampled_from(("float32", "static_int8")), lowerings)
def test_random_networks_convert(network, recipe, lowering):
    check(network, recipe, lowering)


@pytest.mark.slow
@hypothesis.settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", 100)), **SETTINGS)
@hypothesis.given(networks, st.sampled_from(sorted(RECIPES)), lowerings)
def test_many_random_networks_convert(network, recipe, lowering):
    check(network, recipe, lowering)
