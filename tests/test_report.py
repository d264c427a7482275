"""What a report says is what was measured, and what a device does not take has a cure."""

import json
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_se.layers import CBAM, GroupedConv2D, SqueezeExcite
from keras_se.tflite import RECIPES, Lowering, Runner, compare, convert, inspect, quantize_aware
from keras_se.tflite import report as make_report
from keras_se.tflite.accuracy.gates import measure_gates
from keras_se.tflite.accuracy.layerwise import layer_errors
from keras_se.tflite.accuracy.outputs import Outputs
from keras_se.tflite.file import flatfile
from keras_se.tflite.inputs.images import Images
from keras_se.tflite.report.devices import DEVICES
from keras_se.tflite.report.nodes import read_nodes
from keras_se.tflite.report.predictions import Change, confusion, disagreements
from keras_se.tflite.report.recipes import recipe_of
from keras_se.tflite.report.support import compiled, documented

layers = keras.layers
PIXELS = np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype("float32")
LABELS = np.arange(40) % 4
QUICK = {"recipes": ("float32",), "runs": 2}
HOSTILE = ("<script>document.title='owned'</script>", "a & b", '"quoted"', "é" * 90)


def network(*middle, classes=4):
    keras.utils.set_random_seed(1)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes, activation="softmax")]
    first = layers.Conv2D(8, 3, activation="relu")
    return keras.Sequential([keras.Input((8, 8, 3)), first, *middle, *head], name="small")


@pytest.fixture(scope="module")
def model():
    return network(SqueezeExcite(ratio=2))


@pytest.fixture(scope="module")
def gated():
    """With a kernel of more than 1024 weights: fewer stay in float in dynamic_int8."""
    return network(layers.Conv2D(16, 3), SqueezeExcite(ratio=2))


@pytest.fixture(scope="module")
def content(model):
    return convert(model, "static_int8", PIXELS).model


@pytest.fixture(scope="module")
def report(model, content):
    return make_report(model, content, PIXELS, LABELS, class_names=HOSTILE, **QUICK)


def test_the_figures_are_those_of_compare_and_inspect(model, content, report):
    found, comparison = report.comparison, compare(model, content, PIXELS, LABELS)
    for name in ("images", "agreement", "float_accuracy", "file_accuracy", "snr_db", "measured_on"):
        assert getattr(found, name) == getattr(comparison, name), name
    assert report.inspection == inspect(content)
    assert report.recipe == "static_int8" and report.parameters == model.count_params()
    assert len(report.disagreements) == round(40 * (1 - comparison.agreement))
    assert found.latency_ms == report.kernels[0].latency_ms > 0 and found.runs == 2


def test_layers_and_gates_are_measured_against_the_float_file(model, content, report):
    float_file = convert(model, "float32", PIXELS).model
    images = Images(PIXELS)
    assert report.layers == layer_errors(float_file, content, images) and len(report.layers) > 5
    assert report.gates == measure_gates(float_file, images)
    (gate,) = report.gates
    assert 0 < gate.minimum < gate.mean < gate.maximum < 1


def test_recipes_stand_beside_float32(model, content):
    report = make_report(model, content, PIXELS, recipes=("static_int8", "float16"), runs=3)
    rows = {row.recipe: row for row in report.recipes}
    assert list(rows) == ["float32", "static_int8", "float16"]
    assert [row.is_file for row in rows.values()] == [False, True, False]
    assert rows["static_int8"].latency_ms == report.comparison.latency_ms
    for row in rows.values():
        assert row.over_float == row.latency_ms / rows["float32"].latency_ms
    assert rows["float32"].snr_db > 100 > rows["float16"].snr_db > rows["static_int8"].snr_db
    assert report.recipe_images == 40


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_of_a_file_is_read_from_its_types(gated, name):
    assert recipe_of(read_nodes(convert(gated, name, PIXELS[:8]).model)) == name


def test_without_xnnpack_nothing_is_delegated(content, report):
    plain, fast = Runner(content, xnnpack=False), Runner(content)
    kinds = [operator["op_name"] for operator in plain.interpreter._get_ops_details()]
    assert "DELEGATE" not in kinds
    np.testing.assert_allclose(plain(PIXELS[0])[0], fast(PIXELS[0])[0], atol=2 / 256)
    delegated = len(inspect(content).sequence) - len(inspect(content).not_delegated)
    assert [kernels.delegated for kernels in report.kernels] == [delegated, 0]


def outputs(keras_classes, file_classes):
    """Scores of 0.9 for the given classes."""
    scores = [np.eye(3)[classes] * 0.9 for classes in (keras_classes, file_classes)]
    return Outputs(*scores, *scores, "outputs", 1.0)


def test_confusion_changes_of_a_case_made_by_hand():
    labels, before, after = [0, 0, 1, 2, 2], [0, 0, 1, 2, 0], [0, 1, 1, 1, 2]
    both = outputs(before, after)
    rows = disagreements(both, Images(PIXELS[:5]), np.array(labels), shown=2)
    assert {row.index: row.outcome for row in rows} == {1: "lost", 3: "lost", 4: "won"}
    assert [row.picture is None for row in rows] == [False, False, True]
    assert rows[0].picture.startswith(b"\x89PNG")
    changes = confusion(labels, before, after, 3).changes
    assert set(changes) == {Change(0, 0, 2, 1), Change(0, 1, 0, 1), Change(2, 0, 1, 0)} | {
        Change(2, 1, 0, 1)
    }
    wrong = disagreements(outputs([1], [2]), Images(PIXELS[:1]), np.array([0]), 1)
    assert wrong[0].outcome == "both wrong"


CURED = {  # device: recipe, operator, what is said of it, what cures it
    "edge_tpu": ("static_int8", "CONV_2D", "4 groups", {"groups": "dense"}),
    "core_ml": ("float32", "MEAN", "dimensions dropped", {"pool": "average_pool"}),
}


@pytest.mark.parametrize("key", CURED)
def test_the_cure_cures(key):
    recipe, operator, reason, options = CURED[key]
    device = next(device for device in DEVICES if device.key == key)

    def problems(**options):
        lowering = Lowering(**{"groups": "keep"} | options)
        content = convert(grouped, recipe, PIXELS, lowering=lowering).model
        return {each.operator: each for each in documented(device, read_nodes(content)).problems}

    grouped = network(GroupedConv2D(8, 3, groups=4 if key == "edge_tpu" else 1))
    problem = problems()[operator]
    assert reason in problem.reason
    ((name, value),) = options.items()
    assert f"Lowering({name}='{value}')" in problem.cure
    assert operator not in problems(**options)


def vela_that_left(operator):
    left = (SimpleNamespace(name=operator, reason="a reason of Vela's"),)
    said = {"accelerator": "ethos-u55-128", "version": "5.2.0", "inference_ms": 0.5}
    return SimpleNamespace(**said, cpu_operators=left)


def test_ethos_u_takes_means_over_pixels_and_over_the_channels_of_cbam():
    """As Vela 5.2 does: it left nothing of such a file to the CPU."""
    content = convert(network(CBAM(ratio=2)), "static_int8", PIXELS).model
    nodes = read_nodes(content)
    assert {node.axes for node in nodes if node.name == "MEAN"} == {(1, 2), (2,)}
    assert documented(DEVICES[2], nodes).share == 1
    mean = next(node for node in nodes if node.name == "MEAN")
    axes = replace(mean.inputs[1], values=(3,))
    over_depth = replace(mean, inputs=(mean.inputs[0], axes))
    (problem,) = documented(DEVICES[2], [over_depth]).problems
    assert problem.reason == "a mean over channels"
    assert compiled(DEVICES[2], vela_that_left("MEAN"), [over_depth], "").problems == (
        replace(problem, reason="a reason of Vela's"),
    )


def test_an_operator_that_is_not_listed_has_a_cure():
    content = convert(network(layers.LeakyReLU()), "static_int8", PIXELS).model
    found = {each.key: documented(each, read_nodes(content)) for each in DEVICES}
    (problem,) = found["edge_tpu"].problems
    assert (problem.operator, problem.count) == ("LEAKY_RELU", 1)
    assert "not on the list" in problem.reason and "ReLU" in problem.cure
    assert found["edge_tpu"].taken["LEAKY_RELU"] == 0 and 0 < found["edge_tpu"].share < 1
    assert found["gpu"].problems == ()
    assert found["core_ml"].share == 0
    assert {problem.cure for problem in found["core_ml"].problems} == {'recipe="float16"'}


def test_float_files_suit_other_devices(model):
    content = convert(model, "float16", PIXELS[:2]).model
    found = {each.key: documented(each, read_nodes(content)) for each in DEVICES}
    assert found["gpu"].share == 1 and found["edge_tpu"].share == found["ethos_u"].share == 0
    # Core ML takes the pool of the gate, which keeps its rank, and not that of the head.
    assert {problem.operator for problem in found["core_ml"].problems} <= {"MEAN", "RESHAPE"}
    assert "float16 weights" in found["tflm"].problems[0].reason


def test_vela_takes_the_place_of_the_documents(model, content):
    vela = vela_that_left("SOFTMAX")
    report = make_report(model, content, PIXELS, vela=vela, **QUICK)
    marks = {device.device: device.evidence for device in report.devices}
    assert marks.pop("XNNPACK (CPU)") == "measured" and marks.pop("Ethos-U NPU") == "compiled"
    assert set(marks.values()) == {"documented"}
    npu = next(device for device in report.devices if device.evidence == "compiled")
    assert npu.taken["SOFTMAX"] == 0 and npu.problems[0].reason == "a reason of Vela's"
    assert npu == compiled(DEVICES[2], vela, read_nodes(content), npu.date)
    assert "ethos-u55-128" in report.to_html()


def test_json_is_plain_and_complete(report, tmp_path):
    path = report.save_json(tmp_path / "report.json")
    figures = json.loads(path.read_text())
    assert figures == json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert list(figures) == list(type(report).__dataclass_fields__)
    assert figures["inspection"] == json.loads(json.dumps(report.inspection.to_dict()))
    assert figures["class_names"] == list(HOSTILE)
    assert all("picture" not in row for row in figures["disagreements"])
    assert {device["evidence"] for device in figures["devices"]} == {"measured", "documented"}
    for device in figures["devices"]:
        assert device["date"] and device["source"] and device["total"] == figures_total(report)
        assert all(problem["reason"] and problem["cure"] for problem in device["problems"])


def figures_total(report):
    sequence = report.inspection.sequence
    return {name: sequence.count(name) for name in dict.fromkeys(sequence)}


def test_labels_are_escaped_and_nothing_is_loaded(report):
    page = report.to_html()
    assert "<script" not in page and "&lt;script&gt;" in page
    for loader in (' src="http', "@import", "url(", '<link rel="stylesheet'):
        assert loader not in page


def test_a_file_without_signal_is_not_called_exact(report):
    lost = replace(report.layers[1], snr_db=-np.inf)
    page = replace(
        report,
        comparison=replace(report.comparison, snr_db=-np.inf),
        layers=(report.layers[0], lost),
        recipes=tuple(replace(row, snr_db=-np.inf) for row in report.recipes),
        gates=(),
    ).to_html()
    assert page.count("no signal") >= 4 and "exact" not in page
    assert "inf" not in page.split('id="layers"')[1].split("</section>")[0]


def test_files_that_exist_are_kept(report, tmp_path):
    for save in (report.save_html, report.save_json):
        path = tmp_path / save.__name__
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            save(path)
        assert path.read_text() == "mine"
        assert save(path, overwrite=True).stat().st_size > 1000


def test_a_result_brings_its_recipe_and_no_labels_are_needed(model):
    result = convert(model, "float32", PIXELS)
    report = make_report(model, result, PIXELS, **QUICK)
    assert (report.recipe, report.layers, report.confusion) == ("float32", (), None)
    assert report.recipes[0].is_file and len(report.recipes) == 1
    assert "nothing to compare layer by layer" in report.to_html()


def test_a_model_without_classes(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(5, 3)])
    report = make_report(model, convert(model, "static_int8", PIXELS), PIXELS, LABELS, **QUICK)
    assert (report.confusion, report.disagreements) == (None, ())
    assert "against Keras on 40 pictures" in report.to_html()


@pytest.mark.parametrize("name", [b"of_another_converter_%d", None])
def test_a_file_whose_tensors_have_other_names_or_none(model, content, name):
    file = flatfile.unpack(content)
    for index, tensor in enumerate(file.subgraphs[0].tensors):
        tensor.name = name and name % index
    report = make_report(model, flatfile.pack(file), PIXELS, LABELS, **QUICK)
    assert (report.layers, report.comparison.images) == ((), 40)
    assert "small" in report.to_html()


def test_a_quantization_aware_model():
    aware = quantize_aware(network(), calibration=PIXELS)
    report = make_report(aware, convert(aware, "static_int8", PIXELS), PIXELS, LABELS, **QUICK)
    assert report.comparison.snr_db > 35
    assert [row.recipe for row in report.recipes] == ["float32"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["a"]}, "each of the 4 classes"),
        ({"recipes": ("int4",)}, "Unknown recipe 'int4'"),
        ({"shown": -1}, "shown must be at least 0"),
        ({"runs": 0}, "runs must be at least 1"),
        ({"labels": [1]}, "40 images"),
    ],
)
def test_bad_arguments(model, content, options, message):
    with pytest.raises(ValueError, match=message):
        make_report(model, content, PIXELS, **options)


def test_a_file_of_another_model_is_refused(content):
    with pytest.raises(ValueError, match="not of this model"):
        make_report(network(classes=7), content, PIXELS)
