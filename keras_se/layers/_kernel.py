"""TensorFlow's own batch-normalisation kernel, for graphs that XLA does not compile."""

import keras


def has_kernel(x) -> bool:
    """Whether TensorFlow runs `x` by single kernels, one of which is batch normalisation.

    XLA fuses elementwise operations by itself, and other backends have no such kernel.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    single = keras.backend.standardize_dtype(x.dtype) in ("float32", "float16", "bfloat16")
    return single and len(x.shape) == 4 and not _compiled_by_xla()


def normalise_by_batch(x, gamma, beta, epsilon: float):
    """Normalised x, of its shape and dtype, and the batch's mean and variance (c,)."""
    import tensorflow as tf

    count = tf.cast(tf.size(x) / tf.shape(x)[-1], "float32")
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, epsilon=epsilon, is_training=True
    )
    return y, mean, variance * (1 - 1 / count)  # the kernel's is over count - 1


def normalise(x, gamma, beta, mean, variance, epsilon: float):
    """Normalised x; TensorFlow joins this with the convolution before it."""
    import tensorflow as tf

    return tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, mean, variance, epsilon=epsilon, is_training=False
    )[0]


def _compiled_by_xla() -> bool:
    """Whether this is a trace of `tf.function(jit_compile=True)`, or of one within."""
    import tensorflow as tf

    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False
