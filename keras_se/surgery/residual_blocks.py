"""Finding the residual branches of residual blocks in any graph."""

import keras

from ..graph import makers, nodes_in_order, readers
from ..layers import ResidualTail

DROPOUTS = (keras.layers.Dropout, keras.layers.SpatialDropout2D)
# Additions of two feature maps: Keras' layer; by name what is private in Keras, the class
# behind keras.ops.add and Inception-ResNet's addition of a scaled residual.
ADDITIONS = ("Add", "CustomScaleLayer")
CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)


def residual_branches(model) -> list:
    """The last call of each residual branch; a `ResidualTail` stands for its own.

    Of the two inputs of an addition the residual is the one that has a convolution on its
    own way and more of them than the other, the shortcut, which has at most one (the
    projection). What lies on its way is read by nothing else, and by nothing outside.
    """
    nodes = nodes_in_order(model)
    maker_of, reading = makers(model), readers(model)
    ancestors: dict[int, frozenset] = {}
    for node in nodes:
        before = [maker_of[id(t)] for t in node.input_tensors]
        ancestors[id(node)] = frozenset().union(*(ancestors[id(n)] for n in before), [node])
    found = []
    for node in nodes:
        if isinstance(node.operation, ResidualTail):
            found.append(node)
        elif _adds_two_maps(node):
            branches = [maker_of[id(t)] for t in node.input_tensors]
            end = _residual(node, branches, ancestors, reading)
            if end is not None:
                found.append(_before_dropout(end, maker_of))
    return found


def _adds_two_maps(node) -> bool:
    shapes = [tuple(t.shape) for t in node.input_tensors]
    is_pair = len(shapes) == 2 and shapes[0] == shapes[1] and len(shapes[0]) == 4
    return is_pair and type(node.operation).__name__ in ADDITIONS


def _residual(addition, branches, ancestors, reading):
    """Which of two branches is a residual; None if neither is."""
    ways = [ancestors[id(branch)] for branch in branches]
    own = [ways[0] - ways[1], ways[1] - ways[0]]
    counts = [sum(isinstance(n.operation, CONVOLUTIONS) for n in way) for way in own]
    index = 0 if counts[0] > counts[1] else 1
    if counts[index] == counts[1 - index] or counts[1 - index] > 1:
        return None
    way = own[index]
    inside = {*map(id, way), id(addition)}
    for node in way:
        for tensor in node.output_tensors:
            if any(reader is None or id(reader) not in inside for reader in reading[id(tensor)]):
                return None
    return branches[index]


def _before_dropout(node, maker_of):
    """A gate belongs before dropout: it shall not see that a whole residual is missing."""
    while isinstance(node.operation, DROPOUTS):
        node = maker_of[id(node.input_tensors[0])]
    return node
