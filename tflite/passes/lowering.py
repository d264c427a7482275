"""Which exact rewrites a conversion applies."""

from dataclasses import dataclass, fields

CHOICES = {
    "fold_squeeze": (True, False),
    "groups": ("auto", "keep", "dense"),
    "pool": ("mean", "average_pool"),
    "channel_mean": ("mean", "conv"),
    "window_pool": ("auto", "keep", "conv"),
    "hard_swish": ("auto", "keep", "product"),
}


@dataclass(frozen=True)
class Lowering:
    """The form that a converted file gives to what has several equal ones.

    The defaults are the fastest on a CPU.

    Attributes:
        fold_squeeze: let a squeeze read the input of the 1x1 convolution before it.
        groups: grouped convolutions: "keep"; "dense": one block-diagonal kernel, `groups`
            times larger; "auto": fewer, wider groups in int8, where a CPU gains by them.
        pool: global average pools: "mean" (MEAN), or "average_pool" (AVERAGE_POOL_2D) for
            runtimes without MEAN, such as the Core ML delegate. Not for int8 if there is a
            choice: AVERAGE_POOL_2D keeps the scale of its input, far too coarse for a mean.
        channel_mean: CBAM's mean over channels: "mean", or "conv" (a constant 1x1
            convolution) for NPUs that leave MEAN over channels to the CPU.
        window_pool: average pools over windows: "keep" (AVERAGE_POOL_2D); "conv": a constant
            depthwise convolution; "auto": that in int8, of which XNNPACK takes no average pool.
            "keep" is for NPUs, as an Ethos-U pools faster.
        hard_swish: "keep" (HARD_SWISH); "product": x relu6(x + 3) / 6; "auto": that in int8, of
            which XNNPACK takes no HARD_SWISH. Likewise.

    Raises:
        ValueError: for a value that is not listed above.
    """

    fold_squeeze: bool = True
    groups: str = "auto"
    pool: str = "mean"
    channel_mean: str = "mean"
    window_pool: str = "auto"
    hard_swish: str = "auto"

    def __post_init__(self):
        for field in fields(self):
            value, choices = getattr(self, field.name), CHOICES[field.name]
            if value not in choices:
                raise ValueError(
                    f"Unknown {field.name}; expected one of {list(choices)}. "
                    f"Received: {field.name}={value!r}"
                )
