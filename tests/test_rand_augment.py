"""RandAugment of one picture: every operation within its range, every number out of the seed."""

import doctest

import numpy as np
import pytest
from PIL import Image, ImageFilter

from keras_se.training.pipeline import rand_augment as module
from keras_se.training.pipeline.rand_augment import OPERATIONS, rand_augment

FILL = (124, 116, 104)  # ImageNet's mean
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_the_example():
    assert doctest.testmod(module).failed == 0


def applied(name, strength, value_sign=1, pixels=PICTURE):
    most, _, change = OPERATIONS[name]
    value = value_sign * most * strength
    return np.asarray(change(Image.fromarray(pixels), value, Image.Resampling.BILINEAR))


CONSTANT = ("auto_contrast", "equalize", "invert", "posterize")  # do something at strength 0 too


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - set(CONSTANT)))
def test_an_operation_begins_as_the_identity_and_grows(name):
    np.testing.assert_array_equal(applied(name, 0.0), PICTURE)
    smooth = PICTURE // 8 + np.arange(0, 224, 7, dtype=np.uint8)[:, None, None].transpose(
        (1, 0, 2) if name.endswith("_x") else (0, 1, 2)
    )
    weak, strong = (
        np.abs(applied(name, s, 1, smooth) - smooth.astype(int)).mean() for s in (0.2, 0.8)
    )
    assert 0 < weak < strong


def test_the_ranges_of_the_papers_code():
    spot = np.zeros((101, 101, 3), np.uint8)
    spot[45:56, 80:91] = 255  # to the right of the middle

    def place(pixels):
        rows, columns = np.nonzero((pixels == 255).all(axis=-1))
        return np.array([rows.mean() - 50, columns.mean() - 50])

    for sign in (1, -1):
        row, column = place(applied("rotate", 1.0, sign, spot))
        assert np.degrees(np.arctan2(row, column)) == pytest.approx(-30 * sign, abs=1)
        spread = place(applied("shear_y", 1.0, sign, spot))
        assert spread[0] == pytest.approx(-0.3 * 85 * sign, abs=17)
    moved = applied("translate_x", 1.0, 1, spot)
    assert place(moved)[1] == pytest.approx(35 - 45.45, abs=1)
    np.testing.assert_array_equal(moved[0, -1], FILL)
    np.testing.assert_array_equal(applied("posterize", 0.7) & 0b00111111, 0)  # 2 bits are left
    dark = PICTURE < 256 - int(0.7 * 256)
    solarized = applied("solarize", 0.7)
    np.testing.assert_array_equal(solarized, np.where(dark, PICTURE, 255 - PICTURE))
    low = PICTURE < 128
    np.testing.assert_array_equal(
        applied("solarize_add", 0.7), np.where(low, np.minimum(PICTURE + 77.0, 255), PICTURE)
    )
    np.testing.assert_allclose(applied("brightness", 1.0, -1), PICTURE * 0.1, atol=1)


def test_moves_are_parts_of_the_side_that_they_go_along():
    """How many pixels of each row, or column, come from outside of a picture of 40 x 100."""
    black, parts = np.zeros((40, 100, 3), np.uint8), {}
    for name in ("translate_x", "translate_y", "shear_x", "shear_y"):
        outside = (applied(name, 1.0, 1, black) == FILL).all(axis=-1)
        parts[name] = outside.sum(axis=1 if name.endswith("x") else 0)
    assert set(parts["translate_x"]) == {45} and set(parts["translate_y"]) == {18}
    np.testing.assert_allclose(parts["shear_x"], 0.3 * np.arange(40), atol=1)
    np.testing.assert_allclose(parts["shear_y"], 0.3 * np.arange(100), atol=1)


def test_enhancements_go_from_what_they_take_away():
    """Each by a factor of 0.1 from the picture without colours, contrast or edges."""
    grey = np.asarray(Image.fromarray(PICTURE).convert("L"))[..., None]
    smooth = Image.fromarray(PICTURE).filter(ImageFilter.SMOOTH)
    for name, without in (("color", grey), ("contrast", grey.mean()), ("sharpness", smooth)):
        expected = without + 0.1 * (PICTURE - np.asarray(without, float))
        np.testing.assert_allclose(applied(name, 1.0, -1), expected, atol=1.1)


def test_operations_without_a_strength():
    dark = (PICTURE.astype(float) ** 2 / 255 / 2 + 20).astype("uint8")  # most levels near 20
    stretched = applied("auto_contrast", 0.0, 1, dark)
    least, most = dark.min((0, 1)), dark.max((0, 1))
    np.testing.assert_allclose(stretched, (dark - least) * (255 / (most - least)), atol=1.1)
    assert applied("equalize", 0.0, 1, dark).mean() == pytest.approx(127, abs=15)
    np.testing.assert_array_equal(applied("invert", 0.0), 255 - PICTURE)


def test_every_operation_is_drawn_as_often_and_done_half_the_time(monkeypatch):
    seen = []
    for name, (most, either_sign, _) in OPERATIONS.items():
        note = lambda picture, value, _, name=name: seen.append((name, value)) or picture  # noqa: E731
        monkeypatch.setitem(OPERATIONS, name, (most, either_sign, note))
    for position in range(3000):
        rand_augment(PICTURE, operations=2, strength=0.7, seed=(0, position))
    assert len(seen) == pytest.approx(3000, rel=0.06)
    for name, (most, either_sign, _) in OPERATIONS.items():
        values = np.array([value for other, value in seen if other == name])
        assert len(values) == pytest.approx(3000 / len(OPERATIONS), rel=0.25)
        np.testing.assert_allclose(np.abs(values).mean(), 0.7 * most, rtol=0.03)
        np.testing.assert_allclose(np.abs(values).std(), 0.05 * most, rtol=0.2)
        assert (values < 0).mean() == pytest.approx(0.5 if either_sign and most else 0, abs=0.12)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_no_value_lies_outside_of_its_range(strength, monkeypatch):
    seen = []
    note = lambda picture, value, _: seen.append(value) or picture  # noqa: E731
    monkeypatch.setattr(module, "OPERATIONS", {"one": (1.0, False, note)})
    for position in range(40):
        rand_augment(PICTURE, operations=2, strength=strength, seed=(0, position))
    assert min(seen) >= 0 and max(seen) <= 1 and strength in seen


def test_a_picture_depends_on_the_seed_alone():
    def one(seed):
        return rand_augment(PICTURE, operations=3, strength=0.9, seed=seed)

    np.testing.assert_array_equal(one((3, 5)), one((3, 5)))
    assert len({one((3, position)).tobytes() for position in range(20)}) > 10
