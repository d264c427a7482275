"""Training, evaluation and conversion find the same classes and pictures in a folder, and read
the same pixels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_se.applications.evaluation.pictures import Loader, find_pictures
from keras_se.picture_folders import picture_files
from keras_se.tflite import load_images
from keras_se.training import FitSettings, pictures_from_directory
from keras_se.training.sources import load_sources

SHADES = {
    "green pea/10.png": 10,
    "green pea/9.JPG": 20,
    "green pea/a.b.jpeg": 30,
    "Äpfel/1.Png": 40,
    "Äpfel/2.png": 50,
    "Zebra/1.png": 60,
    "Zebra/2.jpg": 70,
}
ORDER = sorted(SHADES)  # Zebra before green pea before Äpfel: by the names' characters


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    hidden = [".thumbnails/1.png", "Zebra/.1.png", "Zebra/._2.jpg", "Zebra/more.png/1.png"]
    for name in [*SHADES, *hidden]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png"
        Image.new("RGB", (8, 8), (SHADES.get(name, 255),) * 3).save(path, kind)
    (root / "Zebra/notes.txt").write_text("no picture")
    (root / "readme.md").write_text("no class")
    return root


def test_the_same_walk_everywhere(folder):
    classes = sorted({name.split("/")[0] for name in SHADES})
    labels = [classes.index(name.split("/")[0]) for name in ORDER]
    files, numbers = find_pictures(folder, 3, None)
    assert [path.relative_to(folder).as_posix() for path in files] == ORDER
    assert numbers.tolist() == labels
    for read in (pictures_from_directory(folder, 8), load_images(folder, (8, 8, 3))):
        assert read.class_names == tuple(classes) and read.labels.tolist() == labels
        shades = (read.images if hasattr(read, "images") else read.pixels)[:, 0, 0, 0]
        np.testing.assert_allclose(shades.astype(int), [SHADES[n] for n in ORDER], atol=2)
    kept, aside = load_sources(FitSettings(str(folder), validation=0.4))
    assert kept.class_names == tuple(classes)
    named = [source.name(n) for source in (kept, aside) for n in range(len(source))]
    assert sorted(Path(name).as_posix() for name in named) == ORDER


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "test"])
def test_the_parts_of_a_data_set_as_people_name_them(folder, tmp_path, held_out):
    for part in ("train", held_out, "annotations"):
        shutil.copytree(folder, tmp_path / part)
    kept, aside = load_sources(FitSettings(tmp_path))
    assert (len(kept), len(aside)) == (7, 7)
    assert aside.name(0).startswith(held_out)
    if held_out != "val":  # which comes before all others
        shutil.copytree(folder, tmp_path / "val")
        assert load_sources(FitSettings(tmp_path))[1].name(0).startswith("val/")


def test_train_may_be_a_class(folder, tmp_path):
    for name in ("train", "tram"):
        shutil.copytree(folder / "green pea", tmp_path / name)
    kept, _ = load_sources(FitSettings(tmp_path, validation=0.4))
    assert kept.class_names == ("train", "tram")
    shutil.copytree(folder / "green pea", tmp_path / "test")
    with pytest.raises(ValueError, match="one of val/, valid/, validation/, test/, with the same"):
        load_sources(FitSettings(tmp_path))


def test_test_pictures_without_classes_validate_nothing(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "train")
    shutil.copytree(folder / "green pea", tmp_path / "test")
    with pytest.raises(ValueError, match=r"or give train/ itself.*\['test', 'train'\]"):
        load_sources(FitSettings(tmp_path))
    shutil.copytree(folder, tmp_path / "valid")
    assert load_sources(FitSettings(tmp_path))[1].name(0).startswith("valid/")


def test_training_and_conversion_read_the_same_pixels(tmp_path):
    random = np.random.default_rng(0)
    for folder, mode in (("a", "RGB"), ("b", "L"), ("c", "RGBA")):
        (tmp_path / folder).mkdir()
        shape = (29, 40, len(mode)) if len(mode) > 1 else (29, 40)
        picture = Image.fromarray(random.integers(0, 256, shape, "uint8"))
        exif = Image.Exif()
        exif[0x0112] = 6  # taken sideways
        picture.save(tmp_path / folder / "1.png", exif=exif)
    for channels in (1, 3, 4):
        for size in ((10, 12), (64, 48)):
            converted = load_images(tmp_path, (*size, channels)).pixels
            trained = pictures_from_directory(tmp_path, size, channels).images
            np.testing.assert_array_equal(converted, trained)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "b" / "1.png"))
    expected = upright.resize((12, 10), Image.Resampling.BICUBIC)
    grey = load_images(tmp_path, (10, 12, 1)).pixels
    np.testing.assert_array_equal(grey[1, ..., 0], expected)


def test_squares_are_evaluated_as_they_are_converted(tmp_path):
    path = tmp_path / "1.png"
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), "uint8")
    Image.fromarray(pixels).save(path)
    evaluated = Loader(size=32, crop=1.0, interpolation="bicubic")(path)
    np.testing.assert_array_equal(load_images(tmp_path, (32, 32, 3)).pixels[0], evaluated)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_pictures_of_more_than_8_bits_are_refused_alike(tmp_path, kind):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        Image.fromarray(np.full((8, 8), 400, kind)).save(tmp_path / folder / "1.png", "tiff")
    path = tmp_path / "a" / "1.png"
    for read in (
        lambda: load_images(tmp_path, (8, 8, 3)),
        lambda: pictures_from_directory(tmp_path, 8),
        lambda: Loader(8, 1.0, "bicubic")(path),
    ):
        with pytest.raises(ValueError, match=r"8 bits per channel.*1\.png"):
            read()


def test_a_link_to_nothing_is_not_passed_over(folder, tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    assert picture_files(tmp_path) == [tmp_path / "a.png"]
    with pytest.raises(ValueError, match=r"a\.png"):
        load_images(tmp_path, (8, 8, 3))
