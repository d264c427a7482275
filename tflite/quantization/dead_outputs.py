"""What an operator of several outputs makes and nobody reads.

A recurrent layer that is written step by step splits the gates of its first step, of which the
forget gate has nothing to forget.
"""

from ..file import flatfile

_NONE = -1  # the index of an input that an operator does without


def dead_outputs(content: bytes) -> list[int]:
    """Indices of the tensors that operators of several outputs make and nobody reads.

    TensorFlow's quantizer (2.21) tosses a coin for such an operator: in four of ten runs on one
    file it stays in float, between DEQUANTIZE and QUANTIZE. As outputs of the file they are read.
    """
    model = flatfile.unpack(content)
    graph = model.subgraphs[0]
    read = {int(index) for operator in graph.operators for index in operator.inputs}
    read.update(map(int, graph.outputs))
    several = [operator for operator in graph.operators if len(operator.outputs) > 1]
    return [int(i) for operator in several for i in operator.outputs if int(i) not in read]


def with_first_output(content: bytes) -> bytes:
    """A copy of the file with its first output alone, and what this one needs."""
    model = flatfile.unpack(content)
    graph = model.subgraphs[0]
    needed, kept = {int(graph.outputs[0])}, []
    for operator in reversed(graph.operators):
        if not needed.isdisjoint(map(int, operator.outputs)):
            kept.append(operator)
            needed.update(map(int, operator.inputs))
    needed.update(int(i) for operator in kept for i in operator.outputs)
    needed.update(map(int, graph.inputs))
    left = sorted(needed - {_NONE})
    place = {index: new for new, index in enumerate(left)} | {_NONE: _NONE}
    graph.tensors = [graph.tensors[index] for index in left]
    for part in (graph, *kept):
        part.inputs = [place[int(index)] for index in part.inputs]
        part.outputs = [place[int(index)] for index in part.outputs if int(index) in place]
    graph.operators, graph.outputs = kept[::-1], graph.outputs[:1]
    return flatfile.pack(model)
