"""Quantization-aware training: fake quantization in Keras, converted without calibration.

Jacob et al., https://arxiv.org/abs/1712.05877. `quantize_aware` gives a model that
trains as any other, `convert` makes the int8 file that computes the same, and `strip` returns
the plain model.
"""
