"""The gates in a model, on their own and in residual tails, and where they are called."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras

from ..graph import is_model, nodes_in_order
from ..layers import GATES, ResidualTail

GATE_LAYERS = tuple(GATES.values())


@dataclass(frozen=True, eq=False)
class FoundGate:
    """A gate in a model.

    Attributes:
        path: names of the models on the way and of the layer; "tail/gate" in a tail.
        model: the model that calls it.
        nodes: its calls, or those of the `ResidualTail` around it.
        gate: the gate layer.
        tail: the `ResidualTail` around it, or None.
    """

    path: str
    model: keras.Model
    nodes: tuple
    gate: keras.Layer
    tail: ResidualTail | None

    @property
    def host(self) -> keras.Layer:
        """The layer that the model calls."""
        return self.tail or self.gate

    @property
    def host_path(self) -> str:
        """The path of that layer."""
        return self.path.removesuffix(f"/{self.gate.name}") if self.tail else self.path

    @property
    def channels(self) -> int:
        return self.nodes[0].input_tensors[0].shape[-1]

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width of the input, None where they are unknown."""
        return tuple(self.nodes[0].input_tensors[0].shape[1:3])


def find_gates(model: keras.Model) -> list[FoundGate]:
    """The layers of `GATES` in a model and the models inside it, with their calls."""
    return list(_find_gates(model, "", set()))


def _find_gates(model, prefix: str, seen: set[int]) -> Iterator[FoundGate]:
    nodes = nodes_in_order(model)
    for node in nodes:
        layer = node.operation
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        calls = tuple(n for n in nodes if n.operation is layer)
        if isinstance(layer, GATE_LAYERS):
            yield FoundGate(path, model, calls, layer, None)
        elif isinstance(layer, ResidualTail) and isinstance(layer.gate, GATE_LAYERS):
            gate: keras.Layer = layer.gate
            yield FoundGate(f"{path}/{gate.name}", model, calls, gate, layer)
        elif is_model(layer):
            yield from _find_gates(layer, f"{path}/", seen)
