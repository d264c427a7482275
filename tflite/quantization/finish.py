"""The last touch on a converter's file: aligned weights, a bias for each operator, a signature."""

from ..file import flatfile
from .shared_bias import split_shared_biases

SIGNATURE = "serving_default"  # the key that TensorFlow gives to a Keras model's


def finish(content: bytes) -> bytes:
    """A converter's file as it is given out.

    Packed anew, because the converter's Python part leaves the weights unaligned. The signature
    takes an "image" and gives an "output", by name, as `get_signature_runner` and its kin in the
    interpreters of phones ask for.
    """
    model = flatfile.unpack(content)
    split_shared_biases(model)
    graph, signature = model.subgraphs[0], flatfile.schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.inputs = [_named("image", graph.inputs[0])]
    signature.outputs = [_named("output", graph.outputs[0])]
    model.signatureDefs = [signature]
    return flatfile.pack(model)


def _named(name: str, tensor: int):
    entry = flatfile.schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(tensor)
    return entry
