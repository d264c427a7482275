"""Global average pools as AVERAGE_POOL_2D."""

import keras


def average_pool(operation, graph, lowering, recipe):
    """Write a global average pool as AVERAGE_POOL_2D over the whole map.

    For runtimes without MEAN, such as the Core ML delegate. The same numbers in float; in
    int8 AVERAGE_POOL_2D has the scale of its input, and the mean of a map that varies around
    zero is lost in it: 13.6 dB instead of 39.3 for a pool of 16x16 normal numbers, and
    XNNPACK does not take it.
    """
    if lowering.pool != "average_pool":
        return None
    if not isinstance(operation, keras.layers.GlobalAveragePooling2D):
        return None
    if operation.data_format != "channels_last":
        return None
    height, width = operation.input.shape[1:3]

    def build(new):
        name = operation.name if operation.keepdims else f"{operation.name}_map"
        pool = keras.layers.AveragePooling2D((height, width), name=name, dtype="float32")
        pooled = pool(new(operation.input))
        if operation.keepdims:
            return pooled
        return keras.layers.Flatten(name=operation.name, dtype="float32")(pooled)

    return build
