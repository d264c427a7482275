"""The operators of a file with what device rules ask about: shapes, dtypes, options."""

from dataclasses import dataclass

import numpy as np

from ..file import flatfile
from ..file.flatfile import schema

_SMALL = 32  # numbers: a constant as large is a list of axes or a shape


@dataclass(frozen=True)
class Tensor:
    """A tensor as an operator sees it.

    Attributes:
        dtype: "float32", "int8", ...
        shape: its shape, batch included.
        constant: whether its values are in the file.
        values: those of a small int32 constant, such as the axes of a MEAN; else empty.
    """

    dtype: str
    shape: tuple[int, ...]
    constant: bool = False
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Node:
    """One operator of a file.

    Attributes:
        name: "CONV_2D", ...
        version: version of the operator that the file asks for.
        inputs, outputs: its tensors, without the optional ones that are left out.
        options: of the operator, as the TFLite schema names them: `keepDims`, `beta`, ...
    """

    name: str
    version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: dict

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that a reduction runs over, counted from 0."""
        rank = len(self.inputs[0].shape)
        return tuple(sorted(axis % rank for axis in self.inputs[1].values))

    @property
    def groups(self) -> int:
        """Of a CONV_2D: channels of its input by those of its kernel."""
        return self.inputs[0].shape[-1] // self.inputs[1].shape[-1]

    @property
    def activation(self) -> bool:
        """Whether an activation is fused into it."""
        return bool(self.options.get("fusedActivationFunction", 0))


def read_nodes(content: bytes) -> tuple[Node, ...]:
    """All operators of a file, in order of execution."""
    tree = flatfile.unpack(content)
    return tuple(
        _node(tree, graph, operator) for graph in tree.subgraphs for operator in graph.operators
    )


def _node(tree, graph, operator) -> Node:
    def tensors(indices):
        return tuple(_tensor(tree, graph.tensors[index]) for index in indices if index >= 0)

    return Node(
        name=flatfile.operator_name(tree, operator),
        version=tree.operatorCodes[operator.opcodeIndex].version,
        inputs=tensors(operator.inputs),
        outputs=tensors(operator.outputs),
        options=dict(vars(operator.builtinOptions)) if operator.builtinOptions else {},
    )


def _tensor(tree, tensor: "schema.TensorT") -> Tensor:
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    stored = tree.buffers[tensor.buffer].data
    constant = stored is not None and len(stored) > 0
    values = ()
    if constant and tensor.type == schema.TensorType.INT32 and len(stored) <= 4 * _SMALL:
        values = tuple(np.asarray(stored, "uint8").view("<i4").tolist())
    return Tensor(flatfile.dtype_name(tensor), shape, constant, values)
