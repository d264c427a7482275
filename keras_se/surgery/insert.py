"""Attention put into a functional Keras model."""

import inspect

import keras

from ..graph import unique_names, walk
from ..layers import GATES, ResidualTail
from ..layers._common import check_count
from ..names import check_name
from .identity import identity_start
from .places import Place, Where, find_places
from .rebuild import Changes, copy_layer, copy_state, rebuild

MIN_WIDTH = 8  # units of a reduced layer, where the user gives no ratio


def insert(
    model: keras.Model,
    gate: str = "se",
    after: Where = "residual",
    ratio: int | None = None,
    start: str | None = "identity",
    gate_function: str | None = None,
    **gate_options,
) -> keras.Model:
    """Put attention into a model, which computes what it did before until it is trained.

    Args:
        model: functional or Sequential Keras model: from keras.applications, from this
            library or your own, with any inputs and outputs; models inside it are searched,
            too. It is not changed.
        gate: name of a gate in `keras_se.layers.GATES`.
        after: where. "residual": at the end of the residual branch of each residual block,
            before the addition (and before dropout; in a `ResidualTail` as its gate).
            "stage": after the last feature map of each resolution. "depthwise": after each
            depthwise convolution with its normalisation and activation, as in MobileNetV3.
            Or a layer's name or path ("backbone/conv1"), a list of them, a compiled regular
            expression that is searched for in the paths, or a function of a layer that
            returns True or False. A layer that is called several times gets one gate, which
            it shares in the same way.
        ratio: int, the gate's reduction r. None: the gate's own default, 16 for SE and
            CBAM, but never to fewer than 8 units: one ReLU unit alone is dead in half of
            all draws, and so is its gate.
        start: "identity": the new model equals the old one (see `keras_se.surgery.STARTS`
            for how each gate does it) and the gates train from the first step. None: the
            gate's usual initialisation.
        gate_function: the gate's own argument `gate`, such as "relu". None: the one that
            `start` needs, without it the gate's default.
        **gate_options: further arguments of the gate.

    Returns:
        A new model of the same kind (an `ImageModel` for an `ImageModel`, otherwise a
        functional `keras.Model`), not compiled, with copies of the weights: training it
        leaves the old one as it was. It is saved and loaded like any model, with
        `import keras_se`. Gates are named after the layer before them, "conv1_se".

    Raises:
        ValueError: for an unknown gate or start, a place that does not exist or has no
            feature map (b, h, w, c), a gate that cannot start as the identity with these
            options, a layer that cannot be copied or a subclassed model; with the name and
            the reason.
        TypeError: for options that the gate does not take.

    >>> images = keras.Input((32, 32, 3))
    >>> maps = keras.layers.Conv2D(16, 3, name="conv")(images)
    >>> gated = insert(keras.Model(images, maps), "se", after="conv", ratio=4)
    >>> [layer.name for layer in gated.layers][1:]
    ['conv', 'conv_se']
    """
    check_name("gate", gate, GATES)
    check_name("start", "none" if start is None else start, ("identity", "none"))
    begin = identity_start(gate) if start else None
    options = dict(begin.options) if begin else {}
    options |= _checked_options(gate, ratio, gate_function, gate_options)
    places = find_places(model, after)
    unique_name = unique_names({node.operation.name for _, _, node in walk(model)})
    gates, layers, following = {}, {}, {}
    for place in places:
        layer = place.operation
        in_tail = after == "residual" and isinstance(layer, ResidualTail)
        if id(layer) not in gates:
            name = "gate" if in_tail else unique_name(f"{layer.name}_{gate}")
            gates[id(layer)] = _make(gate, options, _channels(place), layer, name)
            if in_tail:
                layers[id(layer)] = _tail_with(place, gates[id(layer)])
        if not in_tail:
            following[id(place.node)] = [gates[id(layer)]]
    result = rebuild(model, Changes(layers=layers, after=following))
    for place in places:
        tail = layers.get(id(place.operation))
        if tail is not None:
            copy_state(place.operation.norm, tail.norm, f"{place.path}/norm")
            gates[id(place.operation)] = tail.gate
    if begin:
        for layer in gates.values():
            begin.set_weights(layer)
    return result


def _checked_options(gate, ratio, function, options) -> dict:
    """The user's options; unknown ones are refused before any work is done."""
    known = {
        name
        for name, parameter in inspect.signature(GATES[gate]).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    given = dict(options)
    if ratio is not None:
        given["ratio"] = check_count("ratio", ratio)
    if function is not None:
        given["gate"] = function
    unknown = sorted(set(given) - known)
    if unknown:
        raise TypeError(
            f"Gate {gate!r} takes {sorted(known)}. Received: {', '.join(map(str, unknown))}"
        )
    return given


def _channels(place: Place) -> int:
    """The channels of the feature map that a place offers."""
    tensors = place.node.output_tensors
    shape = tuple(tensors[0].shape)
    if len(tensors) != 1 or len(shape) != 4 or shape[-1] is None:
        outputs = [tuple(t.shape) for t in tensors]
        raise ValueError(
            f"Layer '{place.path}' offers no feature map (batch, height, width, channels) for "
            f"attention. Its output: {outputs if len(outputs) > 1 else outputs[0]}"
        )
    return shape[-1]


def _make(gate, options, channels, layer, name):
    kind = GATES[gate]
    parameters = inspect.signature(kind).parameters
    if "ratio" in parameters:
        widest = max(1, channels // MIN_WIDTH)
        options = {"ratio": min(parameters["ratio"].default, widest)} | options
    dtype = layer.dtype_policy if isinstance(layer, keras.Layer) else None
    return kind(name=name, dtype=dtype, **options)


def _tail_with(place, gate):
    tail = place.operation
    if tail.gate is not None:
        raise ValueError(
            f"Layer '{place.path}' has a gate already, of type {type(tail.gate).__name__}"
        )
    return copy_layer(tail, place.path, gate=keras.saving.serialize_keras_object(gate))
