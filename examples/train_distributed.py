"""Train one network on several devices of a machine, or in several processes.

    python examples/train_distributed.py --data pictures/               # on all GPUs
    python examples/train_distributed.py --data pictures/ --processes 4 # JAX, one GPU each
    python examples/train_distributed.py --cpus 2                       # digits, a CPU as two

Every batch is shared, BatchNorm sees the whole of it: the weights at the end are those of one
device. TensorFlow's MirroredStrategy or, with KERAS_BACKEND=jax, Keras' DataParallel do it;
several machines: `keras-se train --coordinator HOST:PORT --rank R --world N`.
"""

import argparse
from pathlib import Path

import numpy as np

from keras_se.training import fit, load_digits, make_settings
from keras_se.training.distributed import launch
from keras_se.training.run import read_results


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on several devices.")
    parser.add_argument("--data", help="pictures, one folder per class (default: digits)")
    parser.add_argument("--processes", type=int, help="so many, instead of one for all devices")
    parser.add_argument("--cpus", type=int, help="take the CPU as so many devices (TensorFlow)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64, help="on all devices together")
    parser.add_argument("--limit", type=int, default=2_000, help="digits to train on")
    parser.add_argument("--output", type=Path, default=Path("distributed-output"))
    options = parser.parse_args()

    if options.cpus:
        split_cpu(options.cpus)
    settings = make_settings(
        data=options.data or save_digits(options.output, options.limit),
        output=options.output / "run",
        model_options={"depth": 8},
        epochs=options.epochs,
        batch_size=options.batch_size,
        flip=options.data is not None,
        devices=1 if options.processes else 0,  # 0: all
        verbose=2,
    )
    if options.processes:
        launch(settings, processes=options.processes)
    else:
        fit(settings)
    results = read_results(settings.output)
    print(f"accuracy: {results['accuracy']:.1%} of {results['pictures']} pictures set aside")


def save_digits(folder: Path, limit: int) -> Path:
    """Write handwritten digits as arrays, which `fit` takes as it takes a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits(32, channels=3)
    path = folder / "digits.npz"
    np.savez(path, x_train=digits.images[:limit], y_train=digits.labels[:limit])
    return path


def split_cpu(count: int) -> None:
    """Make several devices of the CPU, before TensorFlow uses it."""
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(cpu, parts)


if __name__ == "__main__":
    main()
