"""What a gate offers whose values depend on spatial means alone."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class MeanGate(Protocol):
    """A channel gate that looks at nothing but the mean of each channel.

    Such a gate costs no pass over the feature map where the means are known already;
    `ResidualTail` has them from BatchNorm.
    """

    @property
    def uses_means(self) -> bool:
        """Whether this gate, with its arguments, depends on means alone."""
        ...

    def excite_means(self, means: Any) -> Any:
        """Gates (b, 1, 1, c) of the spatial means (b, c)."""
        ...
