"""`tfds:NAME` with data sets that are made here: `make test-backends`, which installs the package.

It takes 230 MB (Apache Arrow), which the other tests do without.
"""

import concurrent.futures
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_se.training.settings import FitSettings
from keras_se.training.sources import load_sources

tfds = pytest.importorskip("tensorflow_datasets")

NAMES = ["red", "green pea"]
CLASSES = tfds.features.ClassLabel(names=NAMES)
COLOURED = tfds.features.Image(shape=(None, None, 3))


def pictures(count, seed=0, channels=3, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    sides = rng.integers(20, 40, (count, 2))
    return [rng.integers(0, 256, (*size, channels)).astype(dtype) for size in sides]


def example(number, picture):
    return {"image": picture, "label": number % 2}


def prepare(
    folder, splits, file_format="tfrecord", features=None, keys=("image", "label"), make=example
):
    """A data set "tints" in a folder, of pictures by split, in two files for each."""

    class Tints(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            described = tfds.features.FeaturesDict(
                features or {"image": COLOURED, "label": CLASSES}
            )
            return self.dataset_info_from_configs(features=described, supervised_keys=keys)

        def _split_generators(self, dl_manager):
            return {name: self._generate_examples(held) for name, held in splits.items()}

        def _generate_examples(self, held):
            for number, picture in enumerate(held):
                yield number, make(number, picture)

    builder = Tints(data_dir=folder, file_format=file_format)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def sources(data="tfds:tints"):
    return load_sources(FitSettings(data, validation=0.25))


def contents(source):
    """Class and pixels of every picture; a data set has an order of its own."""
    read = [(source.labels[number], source.read(number)) for number in range(len(source))]
    return sorted((int(label), pixels.shape, pixels.tobytes()) for label, pixels in read)


def expected(given):
    return sorted(
        (number % 2, pixels.shape, pixels.tobytes()) for number, pixels in enumerate(given)
    )


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_pictures_classes_and_the_split_that_is_held_out(folder, file_format):
    train, test = pictures(12), pictures(5, seed=1)
    prepare(folder, {"train": train, "test": test}, file_format)
    kept, aside = sources()
    assert contents(kept) == expected(train) and contents(aside) == expected(test)
    assert kept.class_names == aside.class_names == tuple(NAMES)
    assert kept.name(3) == "tints/1.0.0 train[3]"
    assert kept.digest() == sources()[0].digest() != aside.digest()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        many = list(pool.map(kept.read, list(range(12)) * 20))
    assert all((pixels == kept.read(number % 12)).all() for number, pixels in enumerate(many))


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_splits_by_name(folder, file_format):
    parts = {"train": pictures(8), "validation": pictures(4, 1), "test": pictures(6, 2)}
    prepare(folder, parts, file_format)
    assert [len(source) for source in sources()] == [8, 4]
    kept, aside = sources("tfds:tints#train+validation,test[:50%]")
    assert contents(kept) == expected(parts["train"] + parts["validation"])
    assert set(contents(aside)) < set(expected(parts["test"])) and len(aside) == 3
    assert [len(source) for source in sources("tfds:tints:1.0.0#train")] == [6, 2]
    first, last = (sources(f"tfds:tints#{part},test")[0] for part in ("train[:3]", "train[3:]"))
    assert contents(first) + contents(last) != contents(sources()[0])  # sorted apart
    assert sorted(contents(first) + contents(last)) == expected(parts["train"])
    with pytest.raises(ValueError, match="Unknown split 'val'"):
        sources("tfds:tints#train,val")
    with pytest.raises(ValueError, match=r"no pictures in 'train\[:1%\]'"):
        sources("tfds:tints#train[:1%]")


def test_grey_pictures_get_three_channels(folder):
    grey = pictures(6, channels=1)
    features = {"image": tfds.features.Image(shape=(None, None, 1)), "label": CLASSES}
    prepare(folder, {"train": grey, "test": grey}, features=features)
    kept, _ = sources()
    assert contents(kept) == expected([np.repeat(pixels, 3, axis=-1) for pixels in grey])


def test_a_test_split_without_labels_is_passed_over(folder):
    def unlabelled(number, picture):
        return {"image": picture, "label": number % 2 if number < 8 else -1}

    prepare(folder, {"train": pictures(8), "test": pictures(9)}, make=unlabelled)
    assert [len(source) for source in sources()] == [6, 2]
    for asked in ("test", "train,test"):
        with pytest.raises(ValueError, match="have a class, in 'test'"):
            sources(f"tfds:tints#{asked}")


def test_pairs_that_the_data_set_does_not_name(folder):
    prepare(folder, {"train": pictures(8)}, keys=None)
    assert [len(source) for source in sources()] == [6, 2]


UNFIT = {
    "16 bits": {
        "image": tfds.features.Image(shape=(None, None, 1), dtype=np.uint16),
        "label": CLASSES,
    },
    "no class": {"image": COLOURED, "label": tfds.features.Scalar(np.int64)},
    "other names": {"picture": COLOURED, "kind": CLASSES},
}


@pytest.mark.parametrize("features", UNFIT.values(), ids=UNFIT)
def test_data_sets_without_pictures_and_classes_are_refused(folder, features):
    def make(number, picture):
        wide = features[next(iter(features))].np_dtype
        return dict(
            zip(features, (picture[..., -1:] if wide == np.uint16 else picture, 1), strict=True)
        )

    dtype = features[next(iter(features))].np_dtype
    prepare(folder, {"train": pictures(4, dtype=dtype)}, features=features, keys=None, make=make)
    with pytest.raises(ValueError, match="pictures of 8 bits and one class"):
        sources()


def test_names_that_are_none(folder):
    prepare(folder, {"holdout": pictures(4)})
    with pytest.raises(ValueError, match=r"knows no 'cifar11', .*near are \['cifar10"):
        sources("tfds:cifar11")
    with pytest.raises(ValueError, match=r"at version 9\.9\.9.*Received: data='tfds:mnist:9.9.9'"):
        sources("tfds:mnist:9.9.9")
    with pytest.raises(ValueError, match=r"no split 'train'.*tfds:tints#holdout"):
        sources()
    assert [len(source) for source in sources("tfds:tints#holdout")] == [2, 2]


def test_a_data_set_that_cannot_be_had(folder, capfd):
    class Unreachable(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict({"image": COLOURED, "label": CLASSES})
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, dl_manager):
            raise ConnectionError("no route to host")

        def _generate_examples(self):
            yield from ()

    with pytest.raises(OSError, match=r"prepare 'unreachable/1\.0\.0'.*ConnectionError: no route"):
        sources("tfds:unreachable")
    assert capfd.readouterr().out == ""  # `verbose` is 0


def test_damaged_files(folder):
    prepare(folder, {"train": pictures(8), "test": pictures(8)})
    path = next(folder.rglob("*train.tfrecord-00000*"))
    content = bytearray(path.read_bytes())
    start = content.index(b"\x89PNG")
    content[start : start + 8] = bytes(8)
    path.write_bytes(content)
    kept, _ = sources()
    read = [kept.read_or_note(number) for number in range(8)]
    assert sum(pixels is None for pixels in read) == 1
    (noted,) = kept.unreadable.items()
    assert noted[0] in noted[1]  # the message calls it by its name
    path.write_bytes(content[:-9])
    with pytest.raises(ValueError, match="Not a whole TFRecord file"):
        sources()


def test_training_on_the_command_line(tmp_path):
    prepare(tmp_path / "tfds", {"train": pictures(24), "test": pictures(6, seed=1)})
    command = [sys.executable, "-m", "keras_se", "train", "--data", "tfds:tints#train,test"]
    command += ["--output", str(tmp_path / "run"), "--epochs", "1", "--batch-size", "8"]
    command += ["--model-option", "depth=8"]
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path / "tfds")}
    subprocess.run(command, env=environment, check=True)
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["pictures"] == 6 and results["steps"] == 3
    assert list(results["class_accuracy"]) == NAMES
