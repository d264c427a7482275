"""TFRecord files as TensorFlow writes them, read by number."""

import concurrent.futures

import pytest
import tensorflow as tf

from keras_se.training.sources.tfrecord import TFRecords, places_of

RECORDS = [b"first", b"", bytes(100_000), "größer".encode()]


@pytest.fixture
def path(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
        for record in RECORDS:
            writer.write(record)
    return tmp_path / "records"


def test_records_by_number(path):
    records = TFRecords(places_of(path) + places_of(path)[:2])
    assert list(records) == RECORDS + RECORDS[:2]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(records.__getitem__, [3, 0, 2, 1] * 50)) == [
            RECORDS[number] for number in [3, 0, 2, 1] * 50
        ]


@pytest.mark.parametrize("lost", [1, 4, 20, 40])
def test_a_file_that_ends_too_early(path, lost):
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(ValueError, match="Not a whole TFRecord file"):
        places_of(path)


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "none").touch()
    assert len(TFRecords(places_of(tmp_path / "none"))) == 0
