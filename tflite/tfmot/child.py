"""Run in a process of its own by `bridge`: rebuild in tf_keras, tune with TFMOT, hand back.

    python child.py FOLDER

FOLDER holds task.json, weights.npz, images.npy and labels.npy; result.json,
tuned.npz and, for quantization, model.tflite are written there. Nothing of
keras_se is imported: this process sees tf_keras alone.
"""

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # before TensorFlow is imported

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

quantization: Any = tfmot.quantization.keras
# Written by Keras 3 in another form, and not needed for tuning.
_LEFT_OUT = ("initializer", "regularizer", "constraint", "dtype", "axis_names")


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


CALIBRATION = 128  # pictures
SMALLEST = 1e-3  # range of an activation
_OUTPUT_ONLY = ("Multiply", "Subtract", "Maximum", "Minimum", "GlobalMaxPooling1D")


def build(task, weights):
    """The model of task.json, and the names of each layer's weights."""
    tensors, layers = {}, {}
    for node in task["nodes"]:
        if node["class"] == "InputLayer":
            tensors[node["name"]] = tf_keras.Input(node["shape"], name=node["name"])
            continue
        if node["layer"] not in layers:
            layers[node["layer"]] = make(node)
        inputs = [tensors[name] for name in node["inputs"]]
        tensors[node["name"]] = layers[node["layer"]](inputs if node["many"] else inputs[0])
    first, last = task["nodes"][0]["name"], task["nodes"][-1]["name"]
    for name, layer in layers.items():
        layer.set_weights([weights[f"{name}/{i}"] for i in range(len(layer.weights))])
    return tf_keras.Model(tensors[first], tensors[last], name="model")


def make(node):
    kind = getattr(tf_keras.layers, node["class"])
    known = inspect.signature(kind.__init__).parameters
    config = {
        key: value
        for key, value in node["config"].items()
        if key in known and not key.endswith(_LEFT_OUT)
    }
    return kind(**config, name=node["layer"], trainable=node["trainable"])


def wrap(model, function):
    """The model with `function(layer)` in place of each layer, weights kept."""
    return tf_keras.models.clone_model(model, clone_function=function)


def quantized(model):
    def annotate(layer):
        if type(layer).__name__ in _OUTPUT_ONLY:
            return quantization.quantize_annotate_layer(layer, OutputOnly())
        return quantization.quantize_annotate_layer(layer)

    frozen = {layer.name for layer in model.layers if not layer.trainable}
    with quantization.quantize_scope({"OutputOnly": OutputOnly}):
        tuned = quantization.quantize_apply(wrap(model, annotate))
    for layer in tuned.layers:  # TFMOT's wrappers train their kernel whatever the layer says
        if getattr(layer, "layer", layer).name in frozen and layer.name not in frozen:
            layer._non_trainable_weights += layer._trainable_weights
            layer._trainable_weights = []
    return tuned


def calibrate(model, images, raw_pixels):
    """Set the ranges from pictures: TFMOT starts them at [-6, 6] and moves 0.1 % a step.

    They are those of inference: a batch's own statistics give other ones, and files that
    clip (88.3 % became 86.9 % on CIFAR-10).
    """
    average = quant_ops.MovingAvgQuantize
    layers = (getattr(layer, "layer", layer) for layer in model.layers)
    norms = [
        layer
        for layer in layers
        if layer.trainable and isinstance(layer, tf_keras.layers.BatchNormalization)
    ]
    for layer in norms:  # not trainable: normalises by its moving statistics, even in training
        layer.trainable = False
    try:
        quant_ops.MovingAvgQuantize = lambda *args, **options: average(
            *args, **{**options, "ema_decay": 0.0}
        )
        model(images, training=True)
    finally:
        quant_ops.MovingAvgQuantize = average
        for layer in norms:
            layer.trainable = True
    if raw_pixels:
        fix_input(model)


def fix_input(model):
    """Give raw pixels the range [0, 255], so that a file stores them as they are."""
    for weight in model.layers[1].weights:
        if weight.name.split(":")[0].endswith(("_min", "_max")):
            weight.assign(0.0 if "_min" in weight.name else 255.0)


def widen(model):
    """Give dead activations a range: with steps of 1e-9 no kernel runs.

    Any range will do for zeros, so it is one in which the bias of each layer that reads them
    fits into 32 bits: decay leaves such a layer with weights, and steps, next to nothing.
    """
    for layer in model.layers:
        ends = by_name(layer)
        for name, low in ends.items():
            high = ends.get(f"{name.removesuffix('_min')}_max")
            if name.endswith("_min") and "kernel" not in name and high - low < SMALLEST:
                readers = [node.outbound_layer for node in layer.outbound_nodes]
                high.assign(low + max([SMALLEST, *map(range_for_bias, readers)]))


def range_for_bias(layer) -> float:
    """The narrowest range of a layer's input in whose steps its bias fits into 32 bits."""
    weights = by_name(layer)
    kernel = weights.get("kernel", weights.get("depthwise_kernel"))
    if kernel is None:
        return 0.0
    kernel = np.abs(kernel.numpy())
    kept = kernel.ndim - (2 if "depthwise_kernel" in weights else 1)
    largest = kernel.max(axis=tuple(range(kept))).ravel()  # of each channel, as its step
    bias = weights["bias"].numpy() if "bias" in weights else np.zeros_like(largest)
    for node in layer.outbound_nodes:
        norm = {name: weight.numpy() for name, weight in by_name(node.outbound_layer).items()}
        if "moving_variance" in norm:  # folded into the kernel
            epsilon = node.outbound_layer.layer.epsilon
            factor = norm.get("gamma", 1.0) / np.sqrt(norm["moving_variance"] + epsilon)
            largest = largest * np.abs(factor)
            bias = (bias - norm["moving_mean"]) * factor + norm.get("beta", 0.0)
    steps = np.abs(bias[largest > 0]) / (largest[largest > 0] / 127)  # 127: of the kernel
    return float(255 * steps.max(initial=0.0) / 2**30)


def by_name(layer):
    """The weights of a layer and of what it wraps, by the last part of their names."""
    plain = getattr(layer, "layer", layer)
    # A wrapped layer may have lost its kernel to the wrapper.
    return {w.name.split("/")[-1].split(":")[0]: w for w in [*plain.weights, *layer.weights]}


def tunable(layer, smallest=0):
    kinds = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)
    depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
    if not isinstance(layer, kinds) or depthwise or not layer.trainable:
        return False
    return int(np.prod(layer.kernel.shape)) > smallest


def pruned(model, options, steps):
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=options["sparsity"],
        begin_step=0,
        end_step=max(1, int(0.8 * steps)),
        frequency=max(1, steps // 20),
    )
    prune = tfmot.sparsity.keras.prune_low_magnitude
    return wrap(model, lambda layer: prune(layer, schedule) if tunable(layer) else layer)


def clustered(model, options):
    api = tfmot.clustering.keras
    start = api.CentroidInitialization.KMEANS_PLUS_PLUS
    count = options["clusters"]
    return wrap(
        model,
        lambda layer: (
            api.cluster_weights(layer, count, cluster_centroids_init=start)
            if tunable(layer, 2 * count)
            else layer
        ),
    )


def trained_weights(model, names):
    """Weights by the names that the plain model's layers have, out of wrapped layers or not."""
    found = {}
    for layer in model.layers:
        plain = getattr(layer, "layer", layer)
        for index, name in enumerate(names.get(plain.name, ())):
            found[f"{plain.name}/{index}"] = by_name(layer)[name].numpy()
    return found


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    with np.load(folder / "weights.npz") as weights:
        model = build(task, weights)
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    names = {
        layer.name: [w.name.split("/")[-1].split(":")[0] for w in layer.weights]
        for layer in model.layers
    }
    check = model.predict(np.asarray(images[:4], "float32"), verbose=0)
    error = np.abs(check - np.load(folder / "expected.npy")).max()
    if not error <= 1e-3 * max(1.0, np.abs(check).max()):
        raise RuntimeError(f"tf_keras computes something else: difference {error:.3g}")

    method, options, fit = task["method"], task["options"], task["fit"]
    steps = fit["epochs"] * -(-len(images) // fit["batch_size"])
    callbacks = []
    if method == "quantize":
        tuned = quantized(model)
        calibrate(tuned, np.asarray(images[:CALIBRATION], "float32"), options["raw_pixels"])
    elif method == "prune":
        tuned = pruned(model, options, steps)
        callbacks.append(tfmot.sparsity.keras.UpdatePruningStep())
    else:
        tuned = clustered(model, options)
    tuned.compile(
        tf_keras.optimizers.SGD(fit["learning_rate"], momentum=0.9),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=fit["from_logits"]),
        metrics=["accuracy"],
    )

    def batches():
        order = np.random.default_rng(0)
        for _ in range(fit["epochs"]):
            for rows in np.array_split(order.permutation(len(images)), steps // fit["epochs"]):
                yield np.asarray(images[np.sort(rows)], "float32"), labels[np.sort(rows)]

    shape = (None, *images.shape[1:])
    data = tf.data.Dataset.from_generator(
        batches, output_signature=(tf.TensorSpec(shape), tf.TensorSpec((None,), tf.int64))
    )
    history = tuned.fit(
        data,
        epochs=fit["epochs"],
        steps_per_epoch=steps // fit["epochs"],
        callbacks=callbacks,
        verbose=0,
    )
    if method == "quantize":
        if options["raw_pixels"]:
            fix_input(tuned)  # training moved it a little
        widen(tuned)
        converter = tf.lite.TFLiteConverter.from_keras_model(fixed_batch(tuned, images.shape[1:]))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        (folder / "model.tflite").write_bytes(converter.convert())
    elif method == "prune":
        tuned = tfmot.sparsity.keras.strip_pruning(tuned)
    else:
        tuned = tfmot.clustering.keras.strip_clustering(tuned)
    np.savez(folder / "tuned.npz", **trained_weights(tuned, names))
    history = {key: list(map(float, values)) for key, values in history.history.items()}
    (folder / "result.json").write_text(json.dumps({"history": history}))


def fixed_batch(model, shape):
    """The model for batches of one picture: an open batch leaves operators that compute shapes."""
    inputs = tf_keras.Input(batch_shape=(1, *shape))
    return tf_keras.Model(inputs, model(inputs))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        Path(sys.argv[1], "error.txt").write_text(f"{type(error).__name__}: {error}")
        raise
