"""What attention does on pictures: the values of the gates of any Keras model."""

from .gates import ChannelGates, gates

__all__ = ["ChannelGates", "gates"]
