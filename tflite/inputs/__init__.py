"""What the caller brings: a model, pictures and their labels, the normalisation of pixels."""
