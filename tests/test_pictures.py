"""Pictures: folders of a user's own, the digits, the split."""

import sys

import numpy as np
import pytest
from PIL import Image

from keras_se import training


def save(path, mode="RGB", size=(6, 4), colour=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes in every mode that turns up, and much that is no picture."""
    save(tmp_path / "dog" / "b.JPG", colour=(200, 100, 0), quality=95)
    save(tmp_path / "dog" / "a.png", colour=(10, 20, 30))
    save(tmp_path / "dog" / "c.png", "L", colour=50)
    save(tmp_path / "cat" / "x.jpeg", "L", colour=90)
    save(tmp_path / "cat" / "y.PNG", "RGBA", colour=(1, 2, 3, 4))
    save(tmp_path / ".hidden" / "a.png")
    save(tmp_path / "cat" / ".y.png")
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "readme.txt").write_text("no class")
    return tmp_path


def test_a_folder_is_read_in_sorted_order(folder):
    pictures = training.pictures_from_directory(folder, image_size=(8, 5))
    assert pictures.class_names == ("cat", "dog")
    assert pictures.labels.tolist() == [0, 0, 1, 1, 1]
    assert pictures.images.shape == (5, 8, 5, 3) and pictures.images.dtype == np.uint8
    colours = [(90, 90, 90), (1, 2, 3), (10, 20, 30), (200, 100, 0), (50, 50, 50)]
    for image, colour in zip(pictures.images, colours, strict=True):
        np.testing.assert_allclose(image.astype(int), np.broadcast_to(colour, (8, 5, 3)), atol=2)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(folder, channels):
    pictures = training.pictures_from_directory(str(folder), image_size=4, channels=channels)
    assert pictures.images.shape == (5, 4, 4, channels)
    assert pictures.images[0, ..., 0].max() == 90


def test_resizing_is_antialiased(folder):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    Image.fromarray(stripes).save(folder / "cat" / "a.png")
    image = training.pictures_from_directory(folder, 8, channels=1).images[0]
    np.testing.assert_allclose(image.astype(int), 127, atol=8)  # plain sampling: 0 or 255


def test_pictures_are_turned_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise by 90 degrees
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, :8] = 255  # the left half becomes the upper half
    Image.fromarray(pixels).save(folder / "cat" / "a.jpg", exif=exif, quality=95)
    image = training.pictures_from_directory(folder, 16, channels=1).images[0, ..., 0]
    assert image[:6].min() > 200 and image[10:].max() < 50


def breaking(name):
    """What is done to a good folder, and the start of the error."""

    def missing(folder):
        return folder / "nowhere", "There is no such folder"

    def a_file(folder):
        return folder / "readme.txt", "There is no such folder"

    def one_class(folder):
        return folder / "dog", "at least two classes"

    def empty_class(folder):
        (folder / "bird").mkdir()
        return folder, r"none in \['bird'\]"

    def corrupt(folder):
        (folder / "dog" / "broken.png").write_bytes(b"\x89PNG nonsense")
        return folder, "Cannot read the picture .*broken.png"

    def truncated(folder):
        data = (folder / "dog" / "b.JPG").read_bytes()
        (folder / "dog" / "short.jpg").write_bytes(data[: len(data) // 2])
        return folder, "Cannot read the picture .*short.jpg"

    def sixteen_bits(folder):
        Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(folder / "dog" / "deep.png")
        return folder, "8 bits per channel.*deep.png"

    return locals()[name]


@pytest.mark.parametrize(
    "name",
    ["missing", "a_file", "one_class", "empty_class", "corrupt", "truncated", "sixteen_bits"],
)
def test_bad_folders_are_named(folder, name):
    directory, message = breaking(name)(folder)
    with pytest.raises(ValueError, match=message):
        training.pictures_from_directory(directory, image_size=8)


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_size": 0},
        {"image_size": (8, 8, 3)},
        {"image_size": (8, None)},
        {"image_size": 8, "channels": 2},
        {"image_size": 8, "max_size_bytes": 5 * 8 * 8 * 3 - 1},
    ],
)
def test_bad_arguments(folder, arguments):
    with pytest.raises(ValueError, match="Received: "):
        training.pictures_from_directory(folder, **arguments)


def test_the_largest_set_that_is_allowed(folder):
    assert len(training.pictures_from_directory(folder, 8, max_size_bytes=5 * 8 * 8 * 3)) == 5


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 4, 4, 3)), np.array([0, 1])),
        (np.zeros((2, 4, 4), np.uint8), np.array([0, 1])),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1, 1])),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([0.0, 1.0])),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 2])),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([-1, 0])),
    ],
)
def test_pictures_fit_together(images, labels):
    with pytest.raises(ValueError, match="Received: "):
        training.Pictures(images, labels, ("cat", "dog"))


def numbered(counts):
    """Pictures whose one pixel is their number."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return training.Pictures(images, labels, tuple("abc"[: len(counts)]))


@pytest.mark.parametrize(("fraction", "aside"), [(0.25, [10, 5, 1]), (0.9, [36, 18, 1])])
def test_a_split_takes_the_fraction_of_every_class(fraction, aside):
    pictures = numbered([40, 20, 2])
    kept, held_out = training.split(pictures, fraction, seed=1)
    assert np.bincount(held_out.labels).tolist() == aside
    both = np.concatenate([kept.images, held_out.images]).ravel()
    assert sorted(both) == list(range(62))
    for part in (kept, held_out):
        np.testing.assert_array_equal(part.labels, pictures.labels[part.images.ravel()])
        assert part.class_names == pictures.class_names


def test_a_split_is_set_by_its_seed():
    first, again, other = (training.split(numbered([40, 40]), 0.5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[1].images, again[1].images)
    assert (first[1].images != other[1].images).any()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_split_needs_a_fraction(fraction):
    with pytest.raises(ValueError, match="Received: fraction="):
        training.split(numbered([4, 4]), fraction)


def test_a_split_needs_two_of_every_class():
    with pytest.raises(ValueError, match="Received: 1 of class 'b'"):
        training.split(numbered([4, 1]))


def test_digits():
    datasets = pytest.importorskip("sklearn.datasets")
    original = datasets.load_digits()
    small = training.load_digits(image_size=8)
    assert small.class_names == tuple("0123456789")
    np.testing.assert_array_equal(small.labels, original.target)
    np.testing.assert_allclose(small.images[..., 0] / 255, original.images / 16, atol=0.5 / 255)
    large = training.load_digits(image_size=(32, 24), channels=3).images
    assert large.shape == (1797, 32, 24, 3) and large.dtype == np.uint8
    assert (large == large[..., :1]).all() and large.max() == 255
    # Enlarging keeps the mean brightness, up to the edges.
    np.testing.assert_allclose(large.mean((1, 2, 3)), small.images.mean((1, 2, 3)), rtol=0.1)


def test_digits_arguments():
    with pytest.raises(ValueError, match="Received: channels=4"):
        training.load_digits(channels=4)
    with pytest.raises(ValueError, match="Received: image_size=0"):
        training.load_digits(image_size=0)


def test_digits_name_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "keras-se\[demo\]"'):
        training.load_digits()
