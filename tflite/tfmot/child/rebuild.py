"""The model of task.json in tf_keras, and its weights back."""

import inspect

import numpy as np
import tf_keras

# Written by Keras 3 in another form, and not needed for tuning.
_LEFT_OUT = ("initializer", "regularizer", "constraint", "dtype", "axis_names")


def build(task, weights):
    """The model of task.json with its weights, by "LAYER/INDEX"."""
    tensors, layers = {}, {}
    for node in task["nodes"]:
        if node["class"] == "InputLayer":
            tensors[node["name"]] = tf_keras.Input(node["shape"], name=node["name"])
            continue
        if node["layer"] not in layers:
            layers[node["layer"]] = _layer(node)
        inputs = [tensors[name] for name in node["inputs"]]
        tensors[node["name"]] = layers[node["layer"]](inputs if node["many"] else inputs[0])
    first, last = task["nodes"][0]["name"], task["nodes"][-1]["name"]
    for name, layer in layers.items():
        layer.set_weights([weights[f"{name}/{i}"] for i in range(len(layer.weights))])
    return tf_keras.Model(tensors[first], tensors[last], name="model")


def _layer(node):
    kind = getattr(tf_keras.layers, node["class"])
    known = inspect.signature(kind.__init__).parameters
    config = {
        key: value
        for key, value in node["config"].items()
        if key in known and not key.endswith(_LEFT_OUT)
    }
    return kind(**config, name=node["layer"], trainable=node["trainable"])


def check_rebuilt(model, images, expected):
    """Raise RuntimeError unless the model computes what it was built from."""
    outputs = model.predict(np.asarray(images, "float32"), verbose=0)
    error = np.abs(outputs - expected).max()
    if not error <= 1e-3 * max(1.0, np.abs(outputs).max()):
        raise RuntimeError(f"tf_keras computes something else: difference {error:.3g}")


def weight_names(model):
    """{layer: the names of its weights, in the order in which it keeps them}."""
    return {layer.name: [_name(w) for w in layer.weights] for layer in model.layers}


def trained_weights(model, names):
    """The weights of the plain model's layers, by "LAYER/INDEX", out of wrapped layers or not.

    Args:
        model: tuned.
        names: `weight_names` of the plain model.
    """
    found = {}
    for layer in model.layers:
        plain, weights = getattr(layer, "layer", layer), weights_by_name(layer)
        for index, name in enumerate(names.get(plain.name, ())):
            found[f"{plain.name}/{index}"] = weights[name].numpy()
    return found


def weights_by_name(layer):
    """{name: weight} of a layer and of what it wraps, which may have lost its kernel to it."""
    plain = getattr(layer, "layer", layer)
    return {_name(w): w for w in [*plain.weights, *layer.weights]}


def _name(weight):
    return weight.name.split("/")[-1].split(":")[0]


def wrapped(model, function):
    """The model with `function(layer)` in place of each layer, weights kept."""
    return tf_keras.models.clone_model(model, clone_function=function)
