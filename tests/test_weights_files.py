"""Checkpoint files: what is read, and what is refused without being run."""

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from keras_se.applications.weights.reading import read_checkpoint

FOLDER = Path(__file__).with_name("checkpoints")  # made by PyTorch: see make.py there
NUMBERS = np.arange(24, dtype="float32")
EXPECTED = {
    "weight": NUMBERS.reshape(2, 3, 2, 2),
    "transposed": NUMBERS.reshape(4, 6).T,
    "part": NUMBERS[5:17:3],
    "half": np.arange(5, dtype="float16"),
    "bfloat": np.arange(5).astype(ml_dtypes.bfloat16),
    "double": np.arange(5.0),
    "flags": np.array([True, False]),
    "parameter": np.arange(3, dtype="float32"),
    "empty": np.zeros((0, 3), "float32"),
    "num_batches_tracked": np.array(7),
}


@pytest.mark.parametrize("file", ["zip.pth", "legacy.pth", "protocol4.pt"])
def test_every_form_and_dtype_of_pytorch(file):
    arrays = read_checkpoint(FOLDER / file)
    for key, expected in EXPECTED.items():
        assert arrays[key].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[key], expected, strict=True)
    assert arrays["running_var"].tolist() == [1, 1]  # of the BatchNorm


def test_the_checkpoint_of_a_training_script():
    arrays = read_checkpoint(FOLDER / "training.pth.tar")
    assert {key: array.shape for key, array in arrays.items()} == {"weight": (2, 3), "bias": (2,)}


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_the_prefixes_of_compiled_and_parallel_modules(tmp_path, prefix):
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({f"{prefix}fc.{k}": NUMBERS for k in ("weight", "bias")}, path)
    assert sorted(read_checkpoint(path)) == ["fc.bias", "fc.weight"]
    keys = [f"{prefix}fc.weight", "head.bias"]  # a network with a part of that name
    safetensors.numpy.save_file(dict.fromkeys(keys, NUMBERS), path)
    assert sorted(read_checkpoint(path)) == sorted(keys)


def test_safetensors_of_every_dtype(tmp_path):
    path = tmp_path / "model.safetensors"
    arrays = {k: np.array(v, order="C") for k, v in EXPECTED.items() if k != "bfloat"}
    safetensors.numpy.save_file(arrays, path)
    for key, array in read_checkpoint(path).items():
        np.testing.assert_array_equal(array, EXPECTED[key], strict=True)
    bfloat = EXPECTED["bfloat"]
    header = {"bfloat": {"dtype": "BF16", "shape": bfloat.shape, "data_offsets": (0, 10)}}
    header = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bfloat.tobytes())
    np.testing.assert_array_equal(read_checkpoint(path)["bfloat"], bfloat, strict=True)


def test_hdf5_with_one_dataset_for_each_key(tmp_path):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file["layer1.0.conv1.weight"] = EXPECTED["weight"]
    arrays = read_checkpoint(path)
    np.testing.assert_array_equal(arrays["layer1.0.conv1.weight"], EXPECTED["weight"])


def archive(path, data, storage=b"\0" * 16, compression=zipfile.ZIP_STORED, order=""):
    """A zip archive as torch.save writes it, around any pickle."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/data/0", storage)
        if order:
            file.writestr("archive/byteorder", order)
    return path


class Call:
    """Pickled as a call of any function."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def protocol2(thing):
    return pickle.dumps(thing, protocol=2)


# (None, {"_function": OrderedDict}) as the state of a function that is let through
BUILD = (
    b"\x80\x02ctorch._utils\n_rebuild_parameter\nN}X\x09\x00\x00\x00_function"
    b"ccollections\nOrderedDict\ns\x86b."
)


MALICIOUS = {
    "os.system": lambda t: protocol2(Call(os.system, f"touch {t}/run")),
    "eval": lambda t: protocol2({"x": Call(eval, f"open('{t}/run', 'w')")}),
    "getattr": lambda t: protocol2(Call(getattr, OrderedDict, "fromkeys")),
    "a class": lambda t: b"\x80\x02csubprocess\nPopen\n)\x81.",
    "dotted name": lambda t: b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__reduce__\x93.",
    "torch, not a tensor": lambda t: b"\x80\x02ctorch\nload\nX\x01\x00\x00\x00x\x85R.",
    "numpy": lambda t: b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.",
    "OBJ": lambda t: b"\x80\x02(ccollections\nOrderedDict\no.",
    "INST": lambda t: b"(icollections\nOrderedDict\n.",
    "extension registry": lambda t: b"\x80\x02\x82\x01.",
    "state of a function": lambda t: BUILD,
    "gap in the memo": lambda t: b"\x80\x02}r\xff\xff\xff\x7f.",
}


@pytest.mark.parametrize("wrap", ["archive", "stream", "after the header"])
@pytest.mark.parametrize("name", MALICIOUS)
def test_a_pickle_is_not_run(tmp_path, name, wrap):
    data, path = MALICIOUS[name](tmp_path), tmp_path / "model.pth"
    if wrap == "archive":
        archive(path, data)
    elif wrap == "stream":
        path.write_bytes(data)
    else:
        header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        path.write_bytes(b"".join(map(protocol2, header)) + data)
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        read_checkpoint(path)
    assert not (tmp_path / "run").exists()
    assert read_checkpoint(FOLDER / "zip.pth")["parameter"].tolist() == [0, 1, 2]


def test_the_pickles_of_this_test_do_run_when_they_are_run(tmp_path):
    pickle.loads(MALICIOUS["os.system"](tmp_path))
    assert (tmp_path / "run").exists()


def test_a_whole_module_is_refused_with_advice():
    with pytest.raises(pickle.UnpicklingError, match=r"Linear.*model\.state_dict\(\)"):
        read_checkpoint(FOLDER / "module.pth")


def tensor_file(path, offset=0, shape=(4,), strides=(1,), size=4, view=(), **options):
    """An archive with one tensor, claimed to lie anywhere in a storage of four numbers.

    `view` is offset and size of the part of the storage that it has, before PyTorch 0.4.
    """

    def number(n):
        return b"\x8a\x08" + struct.pack("<q", n)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    storage += number(size)
    if view:
        storage += b"(X\x01\x00\x00\x00v" + b"".join(map(number, view)) + b"t"
    storage += b"tQ"
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset)
    rebuilt += numbers(shape) + numbers(strides) + b"\x89}tR"
    data = b"\x80\x02}X\x01\x00\x00\x00w" + rebuilt + b"s."
    return archive(path, data, **options)


def test_a_tensor_inside_its_storage(tmp_path):
    path = tensor_file(tmp_path / "a.pth", offset=1, shape=(3,))
    assert read_checkpoint(path)["w"].tolist() == [0, 0, 0]


def legacy_file(path, size=4, keys=("0",)):
    """The same tensor as the stream of before, of a machine with the other order of bytes."""
    with zipfile.ZipFile(tensor_file(path)) as file:
        data = file.read("archive/data.pkl")
    header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": False})
    storage = struct.pack(">q", size) + np.arange(4, dtype=">f4").tobytes()
    path.write_bytes(b"".join(map(protocol2, header)) + data + protocol2(list(keys)) + storage)
    return path


def test_bytes_in_the_other_order(tmp_path):
    path = tmp_path / "a.pth"
    tensor_file(path, storage=np.arange(4, dtype=">f4").tobytes(), order="big")
    assert read_checkpoint(path)["w"].tolist() == [0, 1, 2, 3]
    assert read_checkpoint(legacy_file(path))["w"].tolist() == [0, 1, 2, 3]


def test_a_storage_that_is_part_of_another(tmp_path):
    storage = np.arange(4, dtype="<f4").tobytes()
    path = tensor_file(tmp_path / "a.pth", view=(1, 3), shape=(3,), storage=storage)
    assert read_checkpoint(path)["w"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("size", [3, 5])
def test_a_legacy_storage_of_another_size_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match=rf"storage '0' of {size}, not 4"):
        read_checkpoint(legacy_file(tmp_path / "a.pth", size))


def test_a_legacy_file_without_its_numbers_is_refused(tmp_path):
    path = legacy_file(tmp_path / "a.pth", keys=[])
    with pytest.raises(ValueError, match=r"no bytes of storages \['0'\]"):
        read_checkpoint(path)
    path.write_bytes(legacy_file(path).read_bytes()[:-12])  # one number of four
    with pytest.raises(ValueError, match="smaller than requested"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "claims",
    [
        {"shape": (5,)},
        {"offset": 1},
        {"offset": -1},
        {"strides": (2,)},
        {"strides": (-1,)},
        {"shape": (-4,)},
        {"shape": (1 << 40,), "strides": (0,)},
        {"shape": (2, 2)},
        {"size": 5},
        {"size": 1 << 50},
        {"storage": b"\0" * 15},
        {"storage": b"\0" * 4096, "size": 1024, "compression": zipfile.ZIP_DEFLATED},
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, claims):
    with pytest.raises(ValueError):
        read_checkpoint(tensor_file(tmp_path / "a.pth", **claims))


def test_overlapping_entries_are_refused(tmp_path):
    path = tensor_file(tmp_path / "a.pth", storage=b"\0" * 4096, size=1024)
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    directory = data[data.index(b"PK\x01\x02") : end]
    fields = list(struct.unpack("<4s4H2LH", data[end:]))
    extra = data[entry:end] * 8
    fields[3] = fields[4] = fields[3] + 8
    fields[5] = len(directory + extra)
    path.write_bytes(data[:end] + extra + struct.pack("<4s4H2LH", *fields))
    with pytest.raises(ValueError, match="overlap"):
        read_checkpoint(path)


def test_a_legacy_file_that_claims_much_memory(tmp_path):
    data = (FOLDER / "legacy.pth").read_bytes()
    assert data.count(b"K\x18") >= 1  # 24 elements
    path = tmp_path / "a.pth"
    path.write_bytes(data.replace(b"K\x18", b"M\xff\xff"))
    with pytest.raises(ValueError, match="storages of"):
        read_checkpoint(path)


@pytest.mark.parametrize("file", ["zip.pth", "legacy.pth"])
def test_damaged_files(tmp_path, file):
    data = (FOLDER / file).read_bytes()
    path = tmp_path / file
    for length in (0, 1, 10, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises((ValueError, pickle.UnpicklingError)):
            read_checkpoint(path)


def test_damaged_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.numpy.save({"w": NUMBERS})[:-1])
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        read_checkpoint(path)


def test_what_is_no_state_dict(tmp_path):
    path = archive(tmp_path / "a.pth", protocol2({"epoch": 3, "loss": 0.5}))
    with pytest.raises(ValueError, match="epoch"):
        read_checkpoint(path)
    with pytest.raises(ValueError, match=r"a list"):
        read_checkpoint(archive(tmp_path / "b.pth", protocol2([1])))
    with pytest.raises(ValueError, match=r"\.safetensors"):
        read_checkpoint(tmp_path / "model.onnx")
