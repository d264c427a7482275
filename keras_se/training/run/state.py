"""All that a run needs to go on as if it had not been interrupted, in one file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np

from ...files import replacing
from ..distributed.assign import assign
from ..distributed.group import Group


@dataclass
class Record:
    """Where a run is, and what it has met.

    Attributes:
        digest: of the training pictures.
        steps: steps that are done.
        stage: of what the optimizer's state is; a stage begins with a new optimizer.
        history: the logs of every epoch that is done.
        best: the highest validation accuracy so far.
        stopped: whether a callback has ended the run before its last epoch.
        left_as_stopped: whether the weights are those that this callback left.
        unreadable: pictures that were skipped, and why.
    """

    digest: str
    steps: int = 0
    stage: int = 0
    history: list[dict] = field(default_factory=list)
    best: float = -1.0
    stopped: bool = False
    left_as_stopped: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        return f"epoch {len(self.history)}, step {self.steps}"

    def add_unreadable(self, group: Group, *found: dict[str, str]) -> None:
        """Note pictures that any process has met."""
        for of_process in group.gather(list(found)):
            for met in of_process:
                self.unreadable |= met


def save_state(path: Path, model: keras.Model, record: Record) -> None:
    """Write weights, seeds of dropout, optimizer, metrics and record, in one step."""
    arrays = {
        f"{group}/{index}": keras.ops.convert_to_numpy(variable)
        for group, variables in _variables(model).items()
        for index, variable in enumerate(variables)
    }
    text = json.dumps(asdict(record)).encode()
    with replacing(path) as temporary:
        np.savez(temporary, record=np.frombuffer(text, np.uint8), **arrays)


def load_record(path: Path) -> Record:
    """The record of a state file."""
    with np.load(path) as arrays:
        return Record(**json.loads(arrays["record"].tobytes()))


def load_variables(file: Path | BinaryIO, model: keras.Model, groups: tuple[str, ...]) -> None:
    """Give the model what the file holds of "model" and "optimizer".

    Raises:
        ValueError: if the file is of another network.
    """
    if "optimizer" in groups and not model.optimizer.built:  # Keras' loss scaling builds anew
        model.optimizer.build(model.trainable_variables)
    with np.load(file) as arrays:
        for group in groups:
            _assign(_variables(model)[group], arrays, group)


def load_metrics(file: Path | BinaryIO, model: keras.Model) -> None:
    """The sums behind the metrics of an epoch that was interrupted."""
    none = np.zeros((1, model.output_shape[-1]), "float32")
    model.compute_metrics(None, none, none)  # makes the variables
    with np.load(file) as arrays:
        _assign(model.metrics_variables, arrays, "metrics")


def _variables(model) -> dict:
    return {
        "model": model.variables,  # the states of seed generators too
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _assign(variables, arrays, group: str) -> None:
    count = sum(name.startswith(f"{group}/") for name in arrays.files)
    held = [arrays[f"{group}/{index}"] for index in range(count)]
    if [value.shape for value in held] != [tuple(variable.shape) for variable in variables]:
        raise ValueError(
            f"The checkpoint is of another network or optimizer: {group} has {count} "
            f"arrays in the file and {len(variables)} here, or other shapes. Received: {arrays.fid}"
        )
    for variable, value in zip(variables, held, strict=True):
        assign(variable, value)
