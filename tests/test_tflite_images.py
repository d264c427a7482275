"""Every source of images gives the same array, and bad ones are refused before any work."""

import numpy as np
import pytest
from PIL import Image

from keras_se.tflite import load_images

SHAPE = (6, 8, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), "uint8")


def write_pictures(folder, pixels=PIXELS):
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index}.png")
    return folder


def dataset(pixels=PIXELS, labels=None, batch=None):
    import tensorflow as tf

    slices = pixels if labels is None else (pixels, labels)
    data = tf.data.Dataset.from_tensor_slices(slices)
    return data if batch is None else data.batch(batch)


@pytest.mark.parametrize(
    "source",
    [
        lambda tmp: PIXELS,
        lambda tmp: list(PIXELS),
        lambda tmp: dataset(),
        lambda tmp: dataset(batch=3),
        lambda tmp: dataset(labels=[0, 1, 2, 3]),
        lambda tmp: write_pictures(tmp / "pictures"),
        lambda tmp: str(write_pictures(tmp / "pictures")),
    ],
)
def test_every_source_gives_the_same_pixels(tmp_path, source):
    images = load_images(source(tmp_path), SHAPE)
    np.testing.assert_array_equal(images.pixels, PIXELS)
    assert images.pixels.dtype == np.uint8


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("one_hot", [False, True])
def test_labels_come_with_a_dataset(batch, one_hot):
    labels = np.array([2, 0, 1, 2])
    given = np.eye(3)[labels] if one_hot else labels
    np.testing.assert_array_equal(
        load_images(dataset(labels=given, batch=batch), SHAPE).labels, labels
    )


def test_labels_are_the_positions_of_the_class_folders(tmp_path):
    write_pictures(tmp_path / "b", PIXELS[:1])
    write_pictures(tmp_path / "a", PIXELS[1:])
    (tmp_path / "empty").mkdir()
    images = load_images(tmp_path, SHAPE)
    assert images.class_names == ("a", "b")
    assert images.labels.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(images.pixels[-1], PIXELS[0])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_resized_and_get_the_models_channels(tmp_path, channels):
    Image.new("RGB", (30, 10), (200, 200, 200)).save(tmp_path / "grey.JPG")
    pixels = load_images(tmp_path, (6, 8, channels)).pixels
    assert pixels.shape == (1, 6, 8, channels)
    assert abs(int(pixels[0, 3, 3, 0]) - 200) <= 1


def test_a_turned_photograph_is_turned_back(tmp_path):
    picture = Image.fromarray(np.repeat(PIXELS[0][:, :1], 8, axis=1)[:, :6])
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(tmp_path / "turned.png", exif=exif)
    turned = load_images(tmp_path, (6, 6, 3)).pixels[0]
    np.testing.assert_array_equal(turned, np.asarray(picture)[::-1, ::-1])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.empty((0, *SHAPE)), "No images"),
        ([], "No images"),
        (PIXELS[0], r"shape \(6, 8, 3\).*Received"),
        (PIXELS[:, :5], r"shape \(6, 8, 3\).*Received"),
        ([PIXELS[0], PIXELS[1, :5]], "image 1 of the list"),
        (np.full((1, *SHAPE), np.nan), "NaN"),
        (np.full((1, *SHAPE), np.inf), "infinite"),
        (np.full((1, *SHAPE), "a"), "dtype"),
        ("/no/such/folder", "No such directory"),
    ],
)
def test_bad_images_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        load_images(source, SHAPE)


def test_bad_datasets_are_refused():
    with pytest.raises(ValueError, match="for ever"):
        load_images(dataset().repeat(), SHAPE)
    with pytest.raises(ValueError, match="empty dataset"):
        load_images(dataset().take(0), SHAPE)
    with pytest.raises(ValueError, match="begin with one"):
        load_images(dataset().map(lambda x: {"image": x}), SHAPE)
    with pytest.raises(TypeError, match="generator"):
        load_images((x for x in PIXELS), SHAPE)


def test_bad_directories_are_refused(tmp_path):
    with pytest.raises(ValueError, match="No PNG or JPEG"):
        load_images(tmp_path, SHAPE)
    write_pictures(tmp_path)
    write_pictures(tmp_path / "a")
    with pytest.raises(ValueError, match="not both"):
        load_images(tmp_path, SHAPE)


@pytest.mark.parametrize("keep", [0, 40, 60])
def test_a_corrupt_picture_is_named(tmp_path, keep):
    file = write_pictures(tmp_path, PIXELS[:1]) / "0.png"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"0\.png"):
        load_images(tmp_path, SHAPE)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (PIXELS.astype("float32") - 1, r"\[0, 255\]"),
        (PIXELS * 2.0, r"\[0, 255\]"),
        (PIXELS / 255, r"scaled to \[0, 1\]"),
    ],
)
def test_raw_pixels_have_a_range_and_other_images_have_none(pixels, message):
    load_images(pixels, SHAPE)
    with pytest.raises(ValueError, match=message):
        load_images(pixels, SHAPE, raw_pixels=True)


def test_black_and_white_pixels_are_raw_pixels():
    load_images(np.eye(6, 8)[None, :, :, None].astype("uint8"), (6, 8, 1), raw_pixels=True)
