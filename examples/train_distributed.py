"""Train one network on several devices of a machine, each with its part of every batch.

    python examples/train_distributed.py --data pictures/        # on all GPUs
    python examples/train_distributed.py --cpus 2                # digits, the CPU taken as two

`tf.distribute.MirroredStrategy` keeps a copy of the network on every device and adds the
gradients up; what is compiled and fitted within its scope is distributed, and nothing else
changes. BatchNorm takes the statistics of each device's own part of the batch.
"""

import argparse
import math

import keras
import numpy as np
import tensorflow as tf
from small_network import load_pictures

from keras_se.applications import SEResNetCIFAR
from keras_se.training import compile_for_training, split


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on several devices.")
    parser.add_argument("--data", help="pictures, one folder per class (default: digits)")
    parser.add_argument("--size", type=int, default=32, help="of the pictures, in pixels")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64, help="on all devices together")
    parser.add_argument("--limit", type=int, default=10_000, help="train on so many pictures")
    parser.add_argument("--cpus", type=int, help="take the CPU as so many devices")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)

    strategy = tf.distribute.MirroredStrategy(split_cpu(options.cpus) if options.cpus else None)
    print(f"{strategy.num_replicas_in_sync} devices: {', '.join(devices(strategy))}")

    training, validation = split(load_pictures(options.data, options.size))
    some = slice(None, None, max(1, len(training) // options.limit))  # sorted by class
    images, labels = training.images[some], training.labels[some]
    with strategy.scope():
        model = SEResNetCIFAR(
            8,
            weights=None,
            input_shape=images.shape[1:],
            classes=len(training.class_names),
        )
        compile_for_training(
            model,
            steps_per_epoch=math.ceil(len(images) / options.batch_size),
            epochs=options.epochs,
            batch_size=options.batch_size,
            base_learning_rate=0.4,
            jit_compile=False,  # a step of all devices together is no program of XLA
        )
    held_out = (model.preprocess(validation.images), validation.labels)
    model.fit(
        model.preprocess(images),
        labels,
        validation_data=held_out,
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=2,
    )
    copies = strategy.experimental_local_results(model.trainable_weights[0].value)
    same = all(np.array_equal(copies[0], copy) for copy in copies)
    print(f"the {len(copies)} copies of the weights are {'equal' if same else 'NOT equal'}")


def split_cpu(count: int) -> list[str]:
    """Make several devices of the CPU, before TensorFlow uses it; their names."""
    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(cpu, parts)
    return [f"CPU:{index}" for index in range(count)]


def devices(strategy: tf.distribute.Strategy) -> list[str]:
    """Short names of the devices."""
    return [":".join(name.split(":")[-2:]) for name in strategy.extended.worker_devices]


if __name__ == "__main__":
    main()
