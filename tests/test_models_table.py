"""Every row of every table, recomputed: names, parameters, GMACs, outputs.

`make test-models` builds the deepest networks.
"""

import inspect
import math
import pickle

import keras
import pytest

from keras_se import applications
from keras_se.applications import list_models, profile, summary_table
from keras_se.layers import SqueezeExcite

VARIANTS = [(name, variant) for name, variants in list_models().items() for variant in variants]
MANY_BLOCKS = 30  # of ResNet-101 and beyond, which repeat those of ResNet-50


def row(name, variant):
    depths = getattr(getattr(applications, name).spec, "depths", ())
    marks = pytest.mark.slow if sum(depths) > MANY_BLOCKS else ()
    return pytest.param(name, variant, marks=marks)


DEPTHS = [
    (name, depth)
    for name in ("ResNetCIFAR", "SEResNetCIFAR")
    for depth in applications.resnet_cifar.FIGURES[name.removesuffix("ResNetCIFAR")]
]


@pytest.fixture(autouse=True)
def weights_of_shapes_alone(monkeypatch):
    """Counting needs no numbers, which take most of the time to build a network."""
    zeros = keras.initializers.Zeros()
    initializer = keras.initializers.VarianceScaling
    monkeypatch.setattr(initializer, "__call__", lambda _, shape, dtype=None: zeros(shape, dtype))
    with keras.StatelessScope(initialize_variables=False):
        yield


def check_figures(model, figures):
    cost = profile(model)
    assert cost.parameters == figures.parameters
    assert cost.gmacs == pytest.approx(figures.gmacs, abs=5e-5)


L = keras.layers


@pytest.mark.parametrize(
    "layer, macs",
    [
        (L.SeparableConv2D(5, 3, strides=2), (9 * 4 + 4 * 5) * 3 * 2),
        (L.SeparableConv2D(5, 3, depth_multiplier=2), (9 * 8 + 8 * 5) * 5 * 4),
        (L.DepthwiseConv2D(3, depth_multiplier=2), 9 * 8 * 5 * 4),
        (L.Conv2DTranspose(5, 3, strides=2), 9 * 5 * 4 * 7 * 6),
        (L.Conv2D(6, 3, groups=2, activation=L.LeakyReLU(0.1)), 9 * 2 * 6 * 5 * 4),
        (L.Dense(5, activation=L.ReLU()), 4 * 5 * 7 * 6),
        (L.EinsumDense("abcd,de->abce", (None, None, 5)), 4 * 5 * 7 * 6),
        (L.EinsumDense("...d,dhe->...he", (2, 5)), 4 * 2 * 5 * 7 * 6),
    ],
)
def test_macs_of_other_layers(layer, macs):
    assert profile(keras.Sequential([keras.Input((7, 6, 4)), layer])).macs == macs


def test_macs_do_not_depend_on_where_the_channels_are():
    class ChannelsFirst(L.Conv2D):
        """TensorFlow has no such convolution on a CPU."""

        def call(self, inputs):
            return keras.ops.zeros((1, *self.compute_output_shape(inputs.shape)[1:]))

    layer = ChannelsFirst(5, 3, data_format="channels_first")
    assert profile(keras.Sequential([keras.Input((4, 7, 6)), layer])).macs == 9 * 4 * 5 * 5 * 4


def any_size():
    return keras.Sequential([keras.Input((None, None, 3)), L.ReLU()])


def test_a_printed_profile_lists_what_costs():
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    lines = str(profile(keras.Model(inputs, SqueezeExcite(ratio=2, name="se")(x)))).splitlines()
    assert [line.split() for line in lines] == [
        ["layer", "kind", "output", "parameters", "MMACs"],
        ["conv", "Conv2D", *"6 x 6 x 4".split(), "108", "0.00"],
        ["norm", "BatchNormalization", *"6 x 6 x 4".split(), "16", "0.00"],
        ["se/reduce", "Dense", "2", "10", "0.00"],
        ["se/expand", "Dense", "4", "12", "0.00"],
        ["all", "146", "0.00"],
        ["trainable", "138"],
    ]
    assert len({len(line) for line in lines[:-1]}) == 1  # one place where figures end


@pytest.mark.parametrize(
    "make, input_shape, received",
    [
        (lambda: "SEResNet50", None, "of type str"),
        (lambda: keras.Sequential([L.Dense(3)]), None, "of type Sequential"),
        (lambda: keras.Model([x := keras.Input((4,)), y := keras.Input((4,))], x + y), None, "inp"),
        (any_size, None, "input_shape=None"),
        (any_size, 32, "input_shape=32"),
        (any_size, (32, 32), r"=\(32, 32\)"),
    ],
)
def test_models_that_have_no_profile(make, input_shape, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        profile(make(), input_shape)


@pytest.mark.parametrize("name, variant", [row(*variant) for variant in VARIANTS])
def test_parameters_and_gmacs_are_those_of_the_table(name, variant):
    constructor = getattr(applications, name)
    model = constructor(weights=None, variant=variant)
    spec = constructor.spec
    check_figures(model, spec.variants[variant])
    assert model.output_shape == (None, spec.classes)
    assert model.name == spec.name.lower()


@pytest.mark.parametrize("name, depth", DEPTHS)
def test_small_networks_of_every_depth(name, depth):
    model = getattr(applications, name)(depth)
    spec = applications.resnet_cifar.SPECS_BY_DEPTH[name](depth)
    check_figures(model, spec.variants["v1.5"])


def test_published_totals_with_moving_statistics():
    # keras.Model.count_params() of networks whose totals are published.
    totals = {"SEResNet50": 28_141_144, "SKNet50": 27_564_328, "CBAMResNet18": 11_789_008}
    for name, total in totals.items():
        assert getattr(applications, name)(weights=None).count_params() == total


@pytest.mark.parametrize(
    "ratio, parameters",
    [(2, 45_699_240), (4, 35_635_688), (8, 30_603_912), (16, 28_088_024), (32, 26_830_080)],
)
def test_reduction_ratios_of_the_paper(ratio, parameters):
    model = applications.SEResNet50(weights=None, input_shape=(32, 32, 3), ratio=ratio)
    assert sum(math.prod(w.shape) for w in model.trainable_weights) == parameters


def test_inner_placement_has_the_papers_size():
    # Table 14 of Hu et al. gives 25.8 M for SE inside the 3x3; (2 / r) sum of C^2 gives 25.7.
    model = applications.SEResNet50(weights=None, input_shape=(32, 32, 3), placement="inner")
    parameters = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert parameters == pytest.approx(25.8e6, abs=0.1e6)


@pytest.mark.parametrize("name", list_models())
def test_constructors_are_real_functions(name):
    constructor = getattr(applications, name)
    parameters = inspect.signature(constructor).parameters
    assert {"include_top", "weights", "input_shape", "classes", "attention"} <= set(parameters)
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())
    assert parameters["classes"].default == constructor.spec.classes
    assert constructor.__doc__.splitlines()[0].endswith(".") and "Args:" in constructor.__doc__
    assert pickle.loads(pickle.dumps(constructor)) is constructor
    with pytest.raises(TypeError):
        constructor(clases=3)


def test_keras_applications_signature_comes_first():
    ours = list(inspect.signature(applications.SEResNet50).parameters)
    theirs = list(inspect.signature(keras.applications.ResNet50).parameters)
    assert ours[: len(theirs)] == theirs


def test_summary_table_lists_every_variant():
    lines = summary_table().splitlines()
    assert len(lines) == 1 + len(VARIANTS)
    assert any("SEResNet50" in line and "28,088,024" in line for line in lines)
