"""How a caller's choices change a network's specification."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

import keras

from ...layers import CONVS, GATES
from ...layers.gate_functions import GATE_FUNCTIONS
from ...names import check_name
from .spec import Facts, NetworkSpec

Spec = TypeVar("Spec", bound=NetworkSpec)


def customise(
    spec: Spec,
    variant: str | None = None,
    ratio: int | None = None,
    attention: str | Callable | None = "default",
    conv: str | None = "default",
    placement: str = "standard",
    stages: tuple[int, ...] | None = None,
    output_stride: int | None = None,
    gate: str | None = None,
) -> Spec:
    """A network with a caller's choices; "default" and None keep its own.

    Raises:
        ValueError: for a choice that this network does not offer.
    """
    variant = spec.default_variant if variant is None else variant
    check_name("variant", variant, spec.variants)
    every = spec.every_stage
    if not (stages is None or (isinstance(stages, Collection) and all(s in every for s in stages))):
        raise ValueError(f"`stages` must be among {every}. Received: stages={stages!r}")
    if output_stride is not None:
        check_name("output_stride", output_stride, spec.output_strides)
    chosen = replace(spec, **spec.variants[variant].changes)
    chosen = _with_conv(_with_attention(chosen, attention), conv)
    chosen = _with_gate(_with_ratio(chosen, ratio), gate)
    if placement != "standard" and chosen.attention is None:
        raise ValueError(
            f"Nothing in this network has a placement. Received: placement={placement!r}, "
            "attention=None"
        )
    return replace(
        chosen,
        output_stride=output_stride,
        placement=check_name("placement", placement, spec.PLACEMENTS),
        stages=(chosen.stages or every) if stages is None else tuple(stages),
    )


def same_network(first: NetworkSpec, second: NetworkSpec) -> bool:
    """Whether both compute the same, however their options are written."""
    return _without_defaults(first) == _without_defaults(second)


def _without_defaults(spec: Spec) -> Spec:
    return replace(
        spec,
        attention_options=_differing(spec.attention_options, spec.attention, GATES),
        conv_options=_differing(spec.conv_options, spec.conv, CONVS),
    )


def _differing(options: Mapping, name, table: Mapping) -> Mapping:
    """The options that are not the defaults of the layer that a table has by this name."""
    if name not in table:
        return options
    defaults = inspect.signature(table[name]).parameters
    return {name: value for name, value in options.items() if value != defaults[name].default}


def _with_attention(spec: Spec, attention) -> Spec:
    if attention in ("default", spec.attention):
        return spec
    if isinstance(attention, str):
        check_name("attention", attention, GATES)
    elif isinstance(attention, keras.Layer) or not (attention is None or callable(attention)):
        raise ValueError(
            "`attention` must be a name, None, or a callable that makes a layer, such as the "
            f"layer's class: each block has its own. Received: attention={attention!r}"
        )
    return replace(spec, attention=attention, attention_options={})


def _with_conv(spec: Spec, conv) -> Spec:
    if conv in ("default", spec.conv):
        return spec
    if conv is not None:
        check_name("conv", conv, CONVS if spec.TAKES_CONV else {})
    # A network without such a layer may hold the options that one in it needs.
    return replace(spec, conv=conv, conv_options={} if spec.conv else spec.conv_options)


def _with_ratio(spec: Spec, ratio) -> Spec:
    if ratio is None:
        return spec
    changes: Facts = {}
    if isinstance(spec.attention, str) and _takes("ratio", GATES[spec.attention]):
        changes["attention_options"] = {**spec.attention_options, "ratio": ratio}
    if spec.conv is not None and _takes("ratio", CONVS[spec.conv]):
        changes["conv_options"] = {**spec.conv_options, "ratio": ratio}
    if not changes:
        raise ValueError(
            f"Nothing in this network has a reduction ratio. Received: ratio={ratio}, "
            f"attention={spec.attention!r}, conv={spec.conv!r}"
        )
    return replace(spec, **changes)


def _with_gate(spec: Spec, gate) -> Spec:
    if gate is None:
        return spec
    check_name("gate", gate, GATE_FUNCTIONS)
    if not (isinstance(spec.attention, str) and _takes("gate", GATES[spec.attention])):
        raise ValueError(
            f"No named attention in this network has a gate function. Received: "
            f"gate={gate!r}, attention={spec.attention!r}"
        )
    return replace(spec, attention_options={**spec.attention_options, "gate": gate})


def _takes(argument: str, layer_class) -> bool:
    return argument in inspect.signature(layer_class).parameters
