"""A trained SK network with fewer, wider groups, which computes the same until it is trained on.

Command:  python benchmarks/cifar10_widen.py runs/SK-ResNet-20-0/last.keras wide.keras --groups 4
Machine:  any
Cost:     20 seconds
Expected: 244,794 parameters in place of 199,002 (moving statistics included), outputs equal

What a kernel did not see starts at zero, as when Chen et al. widen a network
(https://arxiv.org/abs/1511.05641), but without noise: each weight has a gradient of its own. How
such a network went on: docs/cifar10.md.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from keras_se.layers import SelectiveKernelConv2D
from keras_se.tflite.passes.merge_groups import widen_groups


def widened(model: keras.Model, groups: int) -> keras.Model:
    """A copy whose SK convolutions have that many groups, a divisor of those they have."""

    def copy(layer):
        changes = {"groups": groups} if isinstance(layer, SelectiveKernelConv2D) else {}
        return type(layer).from_config(layer.get_config() | changes)

    wide = keras.models.clone_model(model, clone_function=copy)
    wide.preprocess, wide.class_names = model.preprocess, model.class_names
    for layer in model.layers:
        kernels = [
            kernel if kernel.shape == target.shape else widen_groups(kernel, layer.groups, groups)
            for kernel, target in zip(
                layer.get_weights(), wide.get_layer(layer.name).weights, strict=True
            )
        ]
        wide.get_layer(layer.name).set_weights(kernels)
    return wide


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--groups", type=int, default=4)
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"{arguments.output} exists")
    model = keras.saving.load_model(arguments.checkpoint, compile=False)
    wide = widened(model, arguments.groups)
    images = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:])).astype("float32")
    difference = np.abs(model.predict(images, verbose=0) - wide.predict(images, verbose=0)).max()
    wide.save(arguments.output)
    print(f"{model.count_params():,} -> {wide.count_params():,} parameters")
    print(f"largest difference of outputs {difference:.1e}")


if __name__ == "__main__":
    main()
