"""Training from arrays in files, a batch of pictures in memory at a time."""

import numpy as np
import tensorflow as tf
import tf_keras


def steps_per_epoch(fit, images):
    """Batches of all pictures, the last one smaller."""
    return -(-len(images) // fit["batch_size"])


def train(model, fit, images, labels, callbacks):
    """Compile and fit a model.

    Args:
        model: a classifier.
        fit: of task.json: epochs, batch_size, learning_rate, from_logits.
        images: array (n, h, w, c), which may lie in a file.
        labels: class indices (n,).
        callbacks: of tf_keras.

    Returns:
        {name of a metric: one float for each epoch}.
    """
    steps = steps_per_epoch(fit, images)
    model.compile(
        tf_keras.optimizers.SGD(fit["learning_rate"], momentum=0.9),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=fit["from_logits"]),
        metrics=["accuracy"],
    )

    def batches():
        order = np.random.default_rng(0)
        for _ in range(fit["epochs"]):
            for rows in np.array_split(order.permutation(len(images)), steps):
                yield np.asarray(images[np.sort(rows)], "float32"), labels[np.sort(rows)]

    signature = (tf.TensorSpec((None, *images.shape[1:])), tf.TensorSpec((None,), tf.int64))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    history = model.fit(
        data, epochs=fit["epochs"], steps_per_epoch=steps, callbacks=callbacks, verbose=0
    )
    return {key: list(map(float, values)) for key, values in history.history.items()}
