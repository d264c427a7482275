"""Read and edit the flatbuffer of a .tflite file."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_ACTIVATIONS = ("SOFTMAX", "LOGISTIC")
_PASS_THROUGH = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")
_REST = 2**20  # bytes, of a file without its weights: a first guess

_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
_DTYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if name[0] != "_"}


def unpack(content: bytes) -> schema.ModelT:
    """The file as an object tree that can be edited."""
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def pack(model: schema.ModelT) -> bytes:
    """The object tree as a file."""
    weights = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _AlignedBuilder(weights + _REST)  # it would grow by doubling, with a copy each time
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(memoryview(builder.Bytes)[builder.Head() :])


class _AlignedBuilder(flatbuffers.Builder):
    """Puts the weights on addresses divisible by 16, as the schema demands (force_align).

    The generated Python classes do not, and a kernel that reads a float from an odd address
    stops some processors.
    """

    def CreateNumpyVector(self, x):
        if x.dtype == np.uint8:  # the bytes of a buffer
            self.Prep(16, x.nbytes)
        return super().CreateNumpyVector(x)


def as_array(content: bytes) -> np.ndarray:
    """Bytes as the array that a buffer of the object tree holds."""
    return np.frombuffer(content, "uint8")


def operator_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Name of an operator: "CONV_2D", ...; a custom one by its own name."""
    code = model.operatorCodes[operator.opcodeIndex]
    if code.customCode:
        return code.customCode.decode()
    # Codes below 127 may stand in the older field alone.
    return _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def dtype_name(tensor: schema.TensorT) -> str:
    """Name of a tensor's dtype: "float32", "int8", ..."""
    return _DTYPES[tensor.type]


def tensor_name(tensor: schema.TensorT) -> str:
    """Name of a tensor; "" in files that leave it out."""
    return (tensor.name or b"").decode()


def final_activation(model: schema.ModelT) -> tuple[str, int] | None:
    """Name and input tensor of the softmax or sigmoid that a file ends in; None without."""
    graph = model.subgraphs[0]
    producers = {output: op for op in graph.operators for output in op.outputs}
    operator = producers.get(graph.outputs[0])
    while operator is not None and operator_name(model, operator) in _PASS_THROUGH:
        operator = producers.get(operator.inputs[0])
    if operator is None or operator_name(model, operator) not in _ACTIVATIONS:
        return None
    return operator_name(model, operator), int(operator.inputs[0])


def with_logits(content: bytes) -> bytes | None:
    """A copy of the file whose second output is the input of its final softmax or sigmoid.

    None when the file ends in neither.
    """
    model = unpack(content)
    activation = final_activation(model)
    if activation is None:
        return None
    return with_outputs(content, [activation[1]])


def with_fixed_batch(content: bytes) -> bytes:
    """The file for the shapes that it states, batch 1, where its signature leaves some open.

    TensorFlow's converter leaves the batch open unless it is told not to.
    """
    model = unpack(content)
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    if all(t.shapeSignature is None or -1 not in t.shapeSignature for t in tensors):
        return content
    for tensor in tensors:
        tensor.shapeSignature = None
    return pack(model)


def with_outputs(content: bytes, tensors: list[int]) -> bytes:
    """A copy of the file with these tensors of its first subgraph as further outputs."""
    model = unpack(content)
    graph = model.subgraphs[0]
    graph.outputs = [*map(int, graph.outputs), *map(int, tensors)]
    model.signatureDefs = []  # they name the outputs one by one
    return pack(model)
