"""Copies of layers and operations."""

import keras


def float32_copy(operation, name: str):
    """A layer or operation of the same configuration under a new name, without weights."""
    if isinstance(operation, keras.layers.Lambda):  # its function is here: no need to load it
        return keras.layers.Lambda(
            operation.function, arguments=operation.arguments, name=name, dtype="float32"
        )
    config = operation.get_config()
    if isinstance(operation, keras.Layer):
        config |= {"name": name, "dtype": "float32"}
    elif "name" in config:
        config["name"] = name
    return type(operation).from_config(config)
