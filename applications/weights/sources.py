"""What the argument `weights` of a constructor stands for, and how it is loaded."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import keras

from ..blocks.residual import ResidualSpec
from ..construction.spec import NetworkSpec
from ..preprocessing import Preprocessing
from .architectures import ARCHITECTURES, Architecture, architectures_of
from .download import download
from .hdf5 import names_in, open_hdf5
from .keras_file import load_keras_file, saved_config, saved_preprocessing
from .layout import Layout
from .qubvel import read_qubvel
from .reading import read_checkpoint
from .state_dict import load_state_dict
from .table import Weights, published_weights

KERAS_SUFFIXES = (".weights.h5", ".keras")  # this library's own files
SUFFIXES = (*KERAS_SUFFIXES, ".safetensors", ".pth", ".pt", ".bin", ".tar", ".h5")


@dataclass(frozen=True)
class Graph:
    """What decides which checkpoints fit a network.

    Attributes:
        spec: of the constructor.
        variant: the variant that is built.
        choices: what the caller changed, {argument: value}; empty: as published.
    """

    spec: NetworkSpec
    variant: str
    choices: tuple[tuple[str, object], ...] = ()

    @property
    def network(self) -> str:
        """Name of the constructor."""
        return self.spec.name

    @property
    def architecture(self) -> str | None:
        """The name of this graph in PyTorch code; None where there is none."""
        names = self.architectures(keras_file=False)
        return None if self.choices else next(iter(names), None)

    def architectures(self, keras_file: bool) -> dict[str, Architecture]:
        """This graph in other code: qubvel's Keras files or PyTorch's."""
        entries = architectures_of(self.network, self.variant)
        return {name: entry for name, entry in entries.items() if entry.keras_file == keras_file}

    def layout(self, architecture: Architecture) -> Layout:
        """This graph's keys in an architecture."""
        return Layout(architecture, cast("ResidualSpec", self.spec))


@dataclass(frozen=True)
class Source:
    """Where weights come from: a published checkpoint, or a file on this machine.

    Attributes:
        weights: the published checkpoint.
        path: the file; for a published checkpoint where it was downloaded to.
        layout: of the file's keys; None for this library's own files.
    """

    weights: Weights | None = None
    path: Path | None = None
    layout: Layout | None = None

    def preprocess(self, usual: Preprocessing) -> Preprocessing:
        """The checkpoint's, or the network's usual one."""
        if self.weights is not None:
            return self.weights.preprocess
        if self.layout is not None:
            return self.layout.architecture.preprocess
        saved = saved_preprocessing(self.path) if self.path else None
        return saved or usual

    @property
    def class_names(self) -> list[str] | None:
        """What the file calls its classes; None where it says nothing."""
        return saved_config(self.path).get("class_names") if self.path else None

    def fetched(self) -> "Source":
        """The same, with a file on this machine."""
        if self.path is not None or self.weights is None:
            return self
        return replace(self, path=download(self.weights))

    def load(self, model: keras.Model, new_head: bool):
        """Give `model` these weights; a classifier for other classes may stay new."""
        if self.path is None:
            raise ValueError(f"The file has not been fetched. Received: {self}")
        if self.layout is None:
            load_keras_file(self.path, model, new_head)
        else:
            state_dict = read_for(self.layout, self.path)
            load_state_dict(model, state_dict, self.layout, new_head)


def read_for(layout: Layout, path: Path):
    """The state dict in a file of an architecture's code base."""
    of_keras = layout.architecture.keras_file
    return read_qubvel(path, layout.spec) if of_keras else read_checkpoint(path)


def is_keras_file(path: Path) -> bool:
    """Whether this is the HDF5 file of a Keras 2 model."""
    if path.suffix != ".h5":
        return False
    with open_hdf5(path) as file:
        return bool(names_in(file.get("model_weights", file), "layer_names"))


def find_source(weights: str | os.PathLike | None, graph: Graph) -> Source | None:
    """What `weights` stands for; None for random weights.

    Raises:
        ValueError: if there are no such weights for this graph, or no such file.
    """
    if weights is None:
        return None
    if not isinstance(weights, str | os.PathLike):
        raise ValueError(
            f"`weights` must be None, a name or the path of a file. Received: weights={weights!r}"
        )
    text = os.fspath(weights)
    if os.path.dirname(text) or text.endswith(SUFFIXES) or not isinstance(weights, str):
        return _file_source(Path(text), graph)
    rows = published_weights(graph.network, graph.variant)
    named = {"imagenet": rows[:1], **{row.tag: (row,) for row in rows}}
    if not named.get(text):
        raise ValueError(f"{_offer(graph, rows)} Received: weights={text!r}")
    if graph.choices:
        changed = ", ".join(f"{name}={value!r}" for name, value in graph.choices)
        raise ValueError(
            f"The published weights are those of {graph.network} as published; pass weights=None "
            f"for another network. Received: weights={text!r}, {changed}"
        )
    row = named[text][0]
    return Source(weights=row, layout=graph.layout(ARCHITECTURES[row.architecture]))


def _file_source(path: Path, graph: Graph) -> Source:
    if not path.is_file() or not path.name.endswith(SUFFIXES):
        raise ValueError(
            f"`weights` must be None, the name of published weights, or the path of an existing "
            f"file that ends in one of {list(SUFFIXES)}. Received: weights={str(path)!r}"
        )
    if path.name.endswith(KERAS_SUFFIXES):
        theirs = saved_config(path).get("architecture")
        if theirs and graph.architecture and theirs != graph.architecture:
            raise ValueError(
                f"The file holds the network that is {theirs!r} in PyTorch code, another than "
                f"{graph.network}, variant {graph.variant!r}, which is {graph.architecture!r}. "
                f"Received: weights={str(path)!r}"
            )
        return Source(path=path)
    from_keras = is_keras_file(path)
    entries = graph.architectures(from_keras)
    if not entries:
        raise ValueError(
            f"{graph.network}, variant {graph.variant!r}, is not known in "
            f"{'qubvel' if from_keras else 'PyTorch'} code: there are no keys to go by. "
            f"Received: weights={str(path)!r}"
        )
    return Source(path=path, layout=graph.layout(next(iter(entries.values()))))


def _offer(graph: Graph, rows: tuple[Weights, ...]) -> str:
    """The published weights that there are."""
    by_variant: dict[str, list[str]] = {}
    for row in published_weights(graph.network):
        by_variant.setdefault(row.variant, []).append(row.tag)
    there = "; ".join(f"variant {v!r} has {tags}" for v, tags in by_variant.items()) or "none"
    advice = '"imagenet" takes the first' if rows else "pass None or the path of a file"
    return (
        f"No such published weights for {graph.network}, variant {graph.variant!r}. "
        f"There are: {there}; {advice}."
    )
