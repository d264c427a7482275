"""Quantization-aware training by TFMOT, from ranges that pictures set to an int8 file."""

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

from .rebuild import wrapped

quantization: Any = tfmot.quantization.keras
_OUTPUT_ONLY = ("Multiply", "Subtract", "Maximum", "Minimum", "GlobalMaxPooling1D")


class OutputOnly(quantization.QuantizeConfig):
    """Quantizes what a layer without weights returns; TFMOT's registry lacks such layers."""

    def get_weights_and_quantizers(self, layer):
        return []

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        pass

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [
            quantization.quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=False, narrow_range=False
            )
        ]

    def get_config(self):
        return {}


def quantized(model):
    """The model with TFMOT's wrappers, which round; layers that do not train keep still."""

    def annotate(layer):
        if type(layer).__name__ in _OUTPUT_ONLY:
            return quantization.quantize_annotate_layer(layer, OutputOnly())
        return quantization.quantize_annotate_layer(layer)

    frozen = {layer.name for layer in model.layers if not layer.trainable}
    with quantization.quantize_scope({"OutputOnly": OutputOnly}):
        tuned = quantization.quantize_apply(wrapped(model, annotate))
    for layer in tuned.layers:  # TFMOT's wrappers train their kernel whatever the layer says
        if getattr(layer, "layer", layer).name in frozen and layer.name not in frozen:
            layer._non_trainable_weights += layer._trainable_weights
            layer._trainable_weights = []
    return tuned


def calibrate(model, images, raw_pixels):
    """Set the ranges to those of inference: TFMOT starts at [-6, 6] and moves 0.1 % a step."""
    average = quant_ops.MovingAvgQuantize
    norms = [
        plain
        for plain in (getattr(layer, "layer", layer) for layer in model.layers)
        if plain.trainable and isinstance(plain, tf_keras.layers.BatchNormalization)
    ]
    for norm in norms:  # not trainable: it takes its moving statistics, and leaves them
        norm.trainable = False
    try:
        quant_ops.MovingAvgQuantize = lambda *args, **options: average(
            *args, **{**options, "ema_decay": 0.0}
        )
        model(images, training=True)
    finally:
        quant_ops.MovingAvgQuantize = average
        for norm in norms:
            norm.trainable = True
    if raw_pixels:
        fix_input(model)


def fix_input(model):
    """Give raw pixels the range [0, 255], so that a file stores them as they are."""
    for weight in model.layers[1].weights:
        if weight.name.split(":")[0].endswith(("_min", "_max")):
            weight.assign(0.0 if "_min" in weight.name else 255.0)


def converted(model, shape):
    """The uint8 in, uint8 out file of a quantized model, for pictures of a shape (h, w, c)."""
    # Batches of one picture: an open batch leaves operators that compute shapes.
    inputs = tf_keras.Input(batch_shape=(1, *shape))
    converter = tf.lite.TFLiteConverter.from_keras_model(tf_keras.Model(inputs, model(inputs)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()
