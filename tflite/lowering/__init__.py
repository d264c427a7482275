"""The model as the float32 inference graph of primitive layers that is converted."""
