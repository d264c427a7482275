"""Labels are classes of the model, or are refused before any work."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.tflite import (
    Images,
    calibrate_ranges,
    compare,
    convert,
    load_images,
    quantize_aware,
    report,
)
from keras_se.tflite.inputs.labels import as_labels
from keras_se.tflite.inputs.model_labels import checked_labels

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), "uint8")


def classifier(classes=5):
    layers = keras.layers
    pooled = [layers.Rescaling(1 / 255), layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *pooled, layers.Dense(classes)])


@pytest.fixture
def folders(tmp_path):
    """Three classes with a picture each, of which a model of five cannot take labels."""
    for name in "abc":
        (tmp_path / name).mkdir()
        Image.fromarray(PIXELS[0]).save(tmp_path / name / "0.png")
    return tmp_path


@pytest.fixture(scope="module")
def content():
    return convert(classifier(), "float32").model


@pytest.fixture
def nothing_runs(monkeypatch):
    def run(*args, **kwargs):
        raise AssertionError("the long work has begun")

    from keras_se.tflite import job
    from keras_se.tflite.report import collect

    monkeypatch.setattr(job, "convert_file", run)
    monkeypatch.setattr(collect, "run_both", run)
    monkeypatch.setitem(compare.__globals__, "run_both", run)


@pytest.mark.parametrize("given", [[[0, 1], [1, 0]], [[0.1, 0.9], [0.8, 0.2]], [[1], [0]], [1, 0]])
def test_indices_and_one_hot_rows_are_labels(given):
    assert as_labels(given, 2).tolist() == [1, 0]


def test_a_column_of_ones_is_no_one_hot_row():
    assert as_labels([[1], [1]], 2).tolist() == [1, 1]


@pytest.mark.parametrize(
    "given",
    [
        [[0.1, 0.2, 0.5, 0.4]] * 2,
        [[1, 1], [0, 1]],
        [[2, -1], [0, 1]],
        [0.5, 1],
        [np.nan, 1],
        [[0], [1], [1]],
    ],
)
def test_boxes_several_classes_and_fractions_are_no_labels(given):
    with pytest.raises(ValueError, match=r"each of the 2 images\. Received: labels of shape"):
        as_labels(given, 2)


def others():
    """Datasets whose second part is no label: masks, boxes, several things."""
    import tensorflow as tf

    masks = tf.data.Dataset.from_tensor_slices((PIXELS, PIXELS[..., :1] > 9))
    boxes = masks.map(lambda image, _: (image, tf.zeros((1 + int(image[0, 0, 0]) % 2, 4))))
    words = masks.map(lambda image, mask: (image, {"mask": mask, "label": 1}))
    pairs = masks.map(lambda image, mask: (image, (mask, 1)))
    return [masks, masks.batch(2), boxes, words, words.batch(2), pairs, pairs.batch(2)]


def test_a_dataset_whose_second_part_is_no_label_is_told_how_to_go_without():
    for dataset in others():
        with pytest.raises(ValueError, match=r"masks or boxes.*dataset\.map\(lambda image, \*_"):
            load_images(dataset, (8, 8, 3))
        assert len(load_images(dataset.map(lambda image, *_: image), (8, 8, 3))) == 4
        images = load_images(dataset, (8, 8, 3), strict_labels=False)
        assert len(images) == 4 and images.labels is None


def test_to_calibrate_pictures_are_enough(nothing_runs):
    """Whatever stands beside them; a bound of accuracy needs labels."""
    import tensorflow as tf

    masks, *_ = others()
    far = tf.data.Dataset.from_tensor_slices((PIXELS, [0, 1, 2, 5]))
    for dataset, refused in ((masks, "masks or boxes"), (far, "from 0 to 4")):
        with pytest.raises(AssertionError, match="the long work has begun"):
            convert(classifier(), "static_int8", dataset)
        with pytest.raises(ValueError, match=refused):
            convert(classifier(), "static_int8", dataset, max_accuracy_drop=0.1)


def test_accuracy_is_that_of_labels_and_of_nothing_else():
    import tensorflow as tf

    labels = tf.data.Dataset.from_tensor_slices((PIXELS, [0, 1, 2, 4]))
    for dataset, known in ((others()[0], False), (labels, True)):
        comparison = convert(classifier(), "float32", dataset).report.comparison
        assert (comparison.file_accuracy is not None) == known


def test_a_quantized_model_is_calibrated_by_pictures_alone():
    masks, *_ = others()
    model = quantize_aware(classifier(), calibration=masks)
    calibrate_ranges(model, masks)


def test_folders_count_as_labels_where_there_is_one_for_each_class(folders):
    images = load_images(folders, (8, 8, 3))
    assert checked_labels(images, classes=5).labels is None
    assert checked_labels(images, classes=3).labels.tolist() == [0, 1, 2]
    assert checked_labels(images, [4, 0, 4], 5).labels.tolist() == [4, 0, 4]
    assert checked_labels(images, [4, 0, 4], None).labels is None


def test_hidden_folders_are_no_classes(folders):
    (folders / ".ipynb_checkpoints").mkdir()
    for name in (".ipynb_checkpoints/0.png", "a/._0.png"):
        (folders / name).write_bytes((folders / "a" / "0.png").read_bytes())
    images = load_images(folders, (8, 8, 3))
    assert images.class_names == ("a", "b", "c") and len(images) == 3


@pytest.mark.parametrize("labels", [[0, 1, 2, 5], [-1, 0, 0, 0]])
@pytest.mark.parametrize("measure", [compare, report])
def test_labels_that_are_no_classes_of_the_model_are_refused(
    measure, labels, content, nothing_runs
):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((PIXELS, labels))
    for images in ({"images": PIXELS, "labels": labels}, {"images": dataset}):
        with pytest.raises(ValueError, match=r"from 0 to 4\. Received: labels from"):
            measure(classifier(), content, **images)


@pytest.mark.parametrize("recipe", ["auto", "static_int8"])
def test_a_bound_of_accuracy_needs_labels_of_the_models_classes(recipe, folders, nothing_runs):
    with pytest.raises(
        ValueError, match=r"each of the 5 classes.*images without labels .3 folders for 5"
    ):
        convert(classifier(), recipe, folders, max_accuracy_drop=0.1)


def test_labels_that_are_given_count_whatever_the_folders_are(folders, content):
    labels = [4, 0, 4]
    page = report(classifier(), content, folders, labels, recipes=("float32",), runs=1)
    assert page.comparison.file_accuracy is not None
    assert sum(map(sum, page.confusion.keras)) == 3


def test_labels_of_other_images_are_refused():
    with pytest.raises(ValueError, match="each of the 4 images"):
        checked_labels(Images(PIXELS, np.zeros(3, int)), None, 5)
