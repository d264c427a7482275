"""What a file loses against its Keras model: as a whole, layer by layer, at its gates, and why."""
