"""What is inside a .tflite file, and what of it XNNPACK runs."""

from collections import Counter
from dataclasses import asdict, dataclass

from ...names import counted
from . import flatfile
from .label_file import read_labels
from .run import File, Runner, TensorInfo, read_model

_MOST = 5  # labels that are shown


@dataclass(frozen=True)
class Operator:
    """Operators of one kind in a file.

    Attributes:
        name: "CONV_2D", ...
        version: version of the operator that the file asks for.
        dtypes: dtypes of its inputs and outputs, each once, constants included.
        count: how often it occurs.
    """

    name: str
    version: int
    dtypes: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Inspection:
    """Contents of a .tflite file.

    Attributes:
        size_bytes: size of the file.
        inputs, outputs: name, shape, dtype and quantization of each.
        operators: kinds of operators, in order of first appearance.
        sequence: names of all operators in order of execution.
        partitions: number of subgraphs that XNNPACK runs.
        not_delegated: names of the operators that it leaves to the built-in kernels.
        float_tensors: names of the float tensors that are neither input nor output.
        labels: names of the classes that the file carries; None without.
    """

    size_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: tuple[Operator, ...]
    sequence: tuple[str, ...]
    partitions: int
    not_delegated: tuple[str, ...]
    float_tensors: tuple[str, ...]
    labels: tuple[str, ...] | None = None

    @property
    def is_strict_int8(self) -> bool:
        """Whether no tensor between input and output is a float."""
        return not self.float_tensors

    def to_dict(self) -> dict:
        """The fields as a JSON-able dictionary."""
        return asdict(self) | {"is_strict_int8": self.is_strict_int8}

    def __str__(self) -> str:
        lines = [f"{self.size_bytes} bytes, {len(self.sequence)} operators"]
        for kind, tensors in (("input", self.inputs), ("output", self.outputs)):
            for t in tensors:
                quantized = "" if t.scale is None else f", scale {t.scale:g}, zero {t.zero_point}"
                lines.append(f"{kind} {t.name}: {t.dtype} {list(t.shape)}{quantized}")
        if self.labels is not None:
            first = ", ".join(self.labels[:_MOST]) + ", ..." * (len(self.labels) > _MOST)
            lines.append(f"{counted(len(self.labels), 'label')}: {first}")
        lines += [
            f"{op.count:5d} x {op.name} (version {op.version}; {', '.join(op.dtypes)})"
            for op in self.operators
        ]
        left = Counter(self.not_delegated)
        lines.append(
            f"XNNPACK: {self.partitions} partition{'s' * (self.partitions != 1)}, not delegated: "
            + (", ".join(f"{n} x {name}" for name, n in left.items()) or "none")
        )
        return "\n".join(lines)


def inspect(model: File) -> Inspection:
    """List a file's operators, tensors and XNNPACK partitions.

    Args:
        model: a `Result`, or bytes or path of a .tflite file.

    Raises:
        ValueError: when the bytes are no TFLite model.
        TypeError: for what is neither.
        FileNotFoundError: when there is no file at the path.
    """
    content = read_model(model)
    runner = Runner(content)  # first, because it checks the whole flatbuffer
    tree = flatfile.unpack(content)
    kinds = Counter(
        _kind(tree, graph, operator) for graph in tree.subgraphs for operator in graph.operators
    )
    partitions, not_delegated = _partitions(runner.interpreter)
    return Inspection(
        size_bytes=len(content),
        inputs=runner.inputs,
        outputs=runner.outputs,
        operators=tuple(
            Operator(name, version, dtypes, count)
            for (name, version, dtypes), count in kinds.items()
        ),
        sequence=tuple(
            flatfile.operator_name(tree, operator)
            for graph in tree.subgraphs
            for operator in graph.operators
        ),
        partitions=partitions,
        not_delegated=not_delegated,
        float_tensors=_float_tensors(tree),
        labels=read_labels(content),
    )


def _kind(tree, graph, operator) -> tuple[str, int, tuple[str, ...]]:
    indices = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
    dtypes = dict.fromkeys(flatfile.dtype_name(graph.tensors[i]) for i in indices)
    version = tree.operatorCodes[operator.opcodeIndex].version
    return flatfile.operator_name(tree, operator), version, tuple(dtypes)


def _float_tensors(tree) -> tuple[str, ...]:
    return tuple(
        flatfile.tensor_name(tensor)
        for graph in tree.subgraphs
        for index, tensor in enumerate(graph.tensors)
        if flatfile.dtype_name(tensor).startswith(("float", "bfloat"))
        and index not in {*graph.inputs, *graph.outputs}
    )


def _partitions(interpreter) -> tuple[int, tuple[str, ...]]:
    """Partitions, and names of the operators outside them.

    The interpreter lists the original operators and then one DELEGATE for each partition;
    a partition holds whatever lies between its outputs and its inputs.
    """
    operators = interpreter._get_ops_details()
    delegates = [op for op in operators if op["op_name"] == "DELEGATE"]
    originals = [op for op in operators if op["op_name"] != "DELEGATE"]
    producers = {int(tensor): op for op in originals for tensor in op["outputs"]}
    delegated = set()
    for delegate in delegates:
        inputs = set(map(int, delegate["inputs"]))
        pending = list(map(int, delegate["outputs"]))
        while pending:
            operator = producers.get(pending.pop())
            if operator is None or operator["index"] in delegated:
                continue
            delegated.add(operator["index"])
            pending += [int(t) for t in operator["inputs"] if int(t) not in inputs]
    left = tuple(op["op_name"] for op in originals if op["index"] not in delegated)
    return len(delegates), left
