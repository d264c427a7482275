"""The batches of `fit`: a function of seed and step, read once, nothing waited for."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from fit_runs import RAW, settings, write_pictures
from PIL import Image

from keras_se.training import FitSettings, pipeline, sources
from keras_se.training.pipeline import augment
from keras_se.training.pipeline import read as reading
from keras_se.training.pipeline.augment import batch_augmenter, rand_augment_each
from keras_se.training.pipeline.crop import crop_at_random, random_part, shift_and_flip
from keras_se.training.pipeline.order import numbers_of_step


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures"))


AUGMENTED = {
    "padded": {},
    "resized": {"crop": "resized"},
    "all": {"randaugment_ops": 2, "color_jitter": 0.3, "mixup": 0.2, "cutmix": 1.0},
}


@pytest.mark.parametrize("values", AUGMENTED.values(), ids=AUGMENTED)
def test_batches_depend_on_the_seed_and_the_step_alone(data, tmp_path, values):
    given = settings(data, tmp_path, **values)
    source, _ = sources.load_sources(given)

    def take(count, **start):
        batches = pipeline.training_batches(source, start.pop("of", given), RAW, **start)
        return list(batches.take(count).as_numpy_iterator())

    whole = take(6)
    for (images, labels), (again, labels_again) in zip(
        whole[4:], take(2, first_step=4), strict=True
    ):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, labels_again)
    assert not np.array_equal(whole[0][0], take(1, of=replace(given, seed=1))[0][0])
    np.testing.assert_allclose(whole[0][1].sum(axis=1), 1, rtol=1e-5)
    assert whole[0][0].min() >= 0 and whole[0][0].max() <= 255
    assert len({images.tobytes() for images, _ in whole}) == 6


def test_an_epoch_shows_every_picture_at_most_once_in_an_order_of_its_own(data, tmp_path):
    given = settings(data, tmp_path)
    source, _ = sources.load_sources(given)
    epochs = [
        [n for step in range(4) for n in numbers_of_step(source, given, 4 * epoch + step)]
        for epoch in range(2)
    ]
    for numbers in epochs:
        assert len(set(numbers)) == len(numbers) == 40
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("fits", [True, False])
def test_small_pictures_are_decoded_once(data, tmp_path, monkeypatch, fits):
    given = settings(data, tmp_path)
    source, _ = sources.load_sources(given)
    if not fits:
        monkeypatch.setattr(reading, "KEPT_BYTES", 3 * 32 * 32 * len(source) - 1)
    for batches in (
        lambda counted: pipeline.training_batches(counted, given, RAW).take(12),
        lambda counted: pipeline.validation_batches(counted, given, RAW).repeat(3),
    ):
        reads = []

        def read(number, reads=reads):
            reads.append(number)
            return source.read(number)

        list(batches(replace(source, read=read)))
        assert (len(reads) == len(set(reads))) is fits


@pytest.mark.parametrize("batches", ["training_batches", "validation_batches"])
def test_no_epoch_waits_for_the_thread_of_a_closed_iterator(data, tmp_path, batches):
    given = settings(data, tmp_path)
    source, _ = sources.load_sources(given)
    assert getattr(pipeline, batches)(source, given, RAW).options().autotune.enabled is False


def test_two_threads_do_not_read_the_same_picture():
    reads = []

    def read(number):
        reads.append(number)
        time.sleep(0.05)  # long enough for the other threads to ask for the same number
        return 10 * number

    kept = reading.kept_by_number(read, 3)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(kept, [2, 2, 2, 0])) == [20, 20, 20, 0]
    assert sorted(reads) == [0, 2]


@pytest.mark.parametrize("flip", [True, False])
def test_pictures_are_shifted_and_mirrored_one_by_one(flip):
    settings = FitSettings("unread", batch_size=400, image_size=16, flip=flip)
    picture = np.arange(1, 16 * 16 * 3 + 1).reshape(16, 16, 3)
    batch = np.tile(picture, (400, 1, 1, 1))
    changed = shift_and_flip(batch, settings, np.int64(3), slice(None)).numpy()
    padded = np.pad(picture, ((2, 2), (2, 2), (0, 0)))  # an eighth of the size
    windows = {
        (row, column, side): padded[row : row + 16, column : column + 16][:, ::side].tobytes()
        for row in range(5)
        for column in range(5)
        for side in ((1, -1) if flip else (1,))
    }
    seen = [one.tobytes() for one in changed]
    assert set(seen) == set(windows.values())  # every shift, and nothing else
    halves = [
        shift_and_flip(batch[part], settings, np.int64(3), part).numpy()
        for part in (slice(0, 200), slice(200, 400))
    ]
    np.testing.assert_array_equal(np.concatenate(halves), changed)


@pytest.mark.parametrize("values", [{"crop": "none", "flip": False}, {"randaugment_ops": 2}])
def test_processes_share_a_batch_without_overlap(data, tmp_path, values):
    given = settings(data, tmp_path, **values)
    source, _ = sources.load_sources(given)
    whole, *parts = (
        next(pipeline.training_batches(source, given, RAW, **part).as_numpy_iterator())
        for part in ({}, {"rank": 0, "world": 2}, {"rank": 1, "world": 2})
    )
    np.testing.assert_array_equal(whole[0], np.concatenate([part[0] for part in parts]))


def test_orders_of_many_pictures_have_nothing_in_common():
    settings, pictures = FitSettings("unread", batch_size=1000), range(50_000)
    first, *others = (
        np.concatenate([numbers_of_step(pictures, settings, 50 * epoch + s) for s in (0, 1)])
        for epoch in range(3)
    )
    largest = 4 / np.sqrt(len(first))  # standard errors
    assert len(set(first)) == len(first)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < largest
    for other in others:
        assert abs(np.corrcoef(first, other)[0, 1]) < largest


@pytest.mark.parametrize("least", [0.08, 0.35])
def test_a_random_part_is_that_of_torchvision(least):
    """Its `RandomResizedCrop.get_params`, in NumPy: the same distribution of parts."""
    rng, (height, width) = np.random.default_rng(0), (150, 200)

    def draw():
        for _ in range(10):
            area = height * width * rng.uniform(least, 1)
            ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
        raise AssertionError  # so near to 4:3 one fits

    expected = np.array([draw() for _ in range(4000)])
    part = tf.function(lambda seed: tf.stack(random_part((height, width), least, seed)))
    drawn = np.array([part(np.array([0, position])) for position in range(4000)])
    assert (drawn[:, :2] >= 0).all() and (drawn[:, :2] + drawn[:, 2:] <= (height, width)).all()
    for one, other in zip(_figures(drawn), _figures(expected), strict=True):
        np.testing.assert_allclose(
            np.quantile(one, (0.1, 0.3, 0.5, 0.7, 0.9)),
            np.quantile(other, (0.1, 0.3, 0.5, 0.7, 0.9)),
            atol=0.03,
        )


def _figures(parts):
    """Part of the area, ratio of the sides, and where it lies, of (top, left, height, width)."""
    top, left, height, width = parts.T
    yield height * width / 30_000
    yield width / height
    yield top / 150
    yield left / 200


@pytest.mark.parametrize(
    "shape, expected", [((20, 120), (0, 47, 20, 27)), ((90, 9), (39, 0, 12, 9))]
)
def test_of_a_panorama_the_middle_is_seen_undistorted(shape, expected):
    for position in range(5):
        part = [int(one) for one in random_part(shape, 0.5, np.array([0, position]))]
        assert part == list(expected)


def test_a_part_may_lie_in_every_corner():
    part = tf.function(lambda seed: tf.stack(random_part((2, 2), 0.05, seed)))
    drawn = np.array([part(np.array([0, position])) for position in range(50)])
    small = drawn[(drawn[:, 2:] == 1).all(axis=1), :2]
    assert set(map(tuple, small.tolist())) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_resized_crop_takes_the_area_it_is_told_and_is_antialiased():
    given = FitSettings("unread", crop="resized", crop_area=1.0, image_size=16)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    whole = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BILINEAR)
    for position in range(3):
        found = crop_at_random(pixels, given, np.int64(position))
        np.testing.assert_allclose(found, np.asarray(whole), atol=1.1)


def test_randaugment_is_told_its_settings_and_where_in_the_run_a_picture_is(monkeypatch):
    told = []

    def note(pixels, *settings):
        told.append((pixels.max(), *settings))
        return pixels

    monkeypatch.setattr(augment, "rand_augment", note)
    strong = {"randaugment_ops": 3, "randaugment_strength": 0.9}
    given = FitSettings("unread", batch_size=4, image_size=8, seed=7, **strong)
    images = tf.fill((2, 8, 8, 3), 99.6)  # of a resized crop
    changed = rand_augment_each(images, given, np.int64(5), slice(2, 4))
    assert told == [(100, 3, 0.9, (7, 22)), (100, 3, 0.9, (7, 23))]
    assert (changed.numpy() == 100).all()


def test_mixup_and_cutmix_take_turns():
    augment = batch_augmenter(FitSettings("unread", mixup=1.0, cutmix=1.0))
    images = np.tile(np.arange(20, dtype="float32")[:, None, None, None], (1, 8, 8, 3))
    cut = []
    for step in range(4):
        mixed, _ = augment(images, np.eye(20, dtype="float32"), np.int64(step))
        cut.append(bool(np.isin(np.round(mixed, 3), images).all()))  # whole colours alone
    assert cut == [False, True, False, True]


@pytest.mark.parametrize("alpha", [0.1, 1.0])
@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_pictures_and_labels_are_mixed_alike_by_a_beta_distribution(kind, alpha):
    """Zhang et al., https://arxiv.org/abs/1710.09412; Yun et al., arxiv.org/abs/1905.04899."""
    augment = batch_augmenter(FitSettings("unread", **{kind: alpha}))
    one_hot = np.eye(50, dtype="float32")
    # Every picture has a colour of its own, from which its part in a mixture can be read.
    images = np.tile(np.arange(50, dtype="float32")[:, None, None, None], (1, 32, 32, 3))
    kept = []
    for step in range(20):
        mixed, labels = map(np.asarray, augment(images, one_hot, np.int64(step)))
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
        shown = (labels * np.arange(50)).sum(axis=1)
        # A box of CutMix ends on whole pixels, of 32; the colours differ by 49 at most.
        close = {"mixup": 0.01, "cutmix": 49 * 4 / 32}[kind]
        np.testing.assert_allclose(mixed.mean((1, 2, 3)), shown, atol=close)
        kept.append(np.diag(labels))
    drawn = np.concatenate(kept), np.random.default_rng(0).beta(alpha, alpha, 100_000)
    # A picture mixed with itself says nothing of its weight.
    drawn = [weights[(weights > 1e-6) & (weights < 1 - 1e-6)] for weights in drawn]
    for of in (np.mean, lambda weights: np.mean((weights > 0.2) & (weights < 0.8))):
        one, expected = map(of, drawn)
        assert one == pytest.approx(expected, abs=0.05)
