"""Makes the files of this folder, with PyTorch's own `torch.save`.

    python -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 numpy
    /tmp/torch/bin/python tests/checkpoints/make.py

The values are those that tests/test_weights_files.py expects.
"""

from collections import OrderedDict
from pathlib import Path

import torch

FOLDER = Path(__file__).parent


def tensors():
    numbers = torch.arange(24.0)
    return OrderedDict(
        weight=numbers.reshape(2, 3, 2, 2),
        transposed=numbers.reshape(4, 6).t(),
        part=numbers[5:17:3],  # of the same storage
        half=torch.arange(5.0).half(),
        bfloat=torch.arange(5.0).bfloat16(),
        double=torch.arange(5.0).double(),
        flags=torch.tensor([True, False]),
        parameter=torch.nn.Parameter(torch.arange(3.0)),
        empty=torch.zeros(0, 3),
        num_batches_tracked=torch.tensor(7),
    )


def main():
    state_dict = torch.nn.BatchNorm1d(2).state_dict()  # an OrderedDict with _metadata
    state_dict.update(tensors())
    torch.save(state_dict, FOLDER / "zip.pth")
    torch.save(state_dict, FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(state_dict, FOLDER / "protocol4.pt", pickle_protocol=4)
    network = torch.nn.DataParallel(torch.nn.Linear(3, 2))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    training = {
        "epoch": 3,
        "arch": "linear",
        "state_dict": network.state_dict(),
        "best_prec1": torch.tensor(75.5),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(training, FOLDER / "training.pth.tar")
    torch.save(torch.nn.Linear(3, 2), FOLDER / "module.pth")


if __name__ == "__main__":
    main()
