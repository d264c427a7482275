"""What an Ethos-U NPU runs of int8 networks at 224 x 224, by Arm's compiler Vela.

Command:  pip install "keras-se[vela]" && python benchmarks/npu.py
Machine:  any; Vela compiles, nothing runs on an NPU
Cost:     2 minutes, 4 GB
Expected: every operator on the NPU, with the channel mean of CBAM as MEAN or as a convolution.
          Vela 5.2, ethos-u55-128, its own estimates of time and of SRAM + flash:
            SEResNet50    159 operators   124 ms            1783 KiB + 26.3 MiB
            CBAMResNet18  198 operators   62.1 ms, 60.8 ms  1609 KiB + 11.4 MiB
            SKNet26       122 operators   105 ms            2029 KiB + 16.3 MiB

Random weights, calibrated on two pictures of noise: neither decides what the NPU runs.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_se import applications
from keras_se.tflite import ACCELERATORS, Images, Lowering, get_recipe, lower, vela
from keras_se.tflite.converter import run_converter
from keras_se.tflite.passes import apply_passes

NETWORKS = ("SEResNet50", "CBAMResNet18", "SKNet26")
RECIPE = get_recipe("static_int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, help="names in list_models()")
    parser.add_argument("--accelerator", choices=ACCELERATORS, default="ethos-u55-128")
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    shape = (arguments.size, arguments.size, 3)
    images = Images(np.random.default_rng(0).integers(0, 256, (2, *shape), "uint8"))
    for name in arguments.networks:
        model = getattr(applications, name)(weights=None, input_shape=shape)
        lowered = lower(model, model.preprocess)
        for channel_mean in ("mean", "conv"):
            primitive = apply_passes(lowered, Lowering(channel_mean=channel_mean), RECIPE)
            content = run_converter(primitive, RECIPE, "int8", images, raw_pixels=True)
            print(f"{name}, channel_mean={channel_mean!r}: {vela(content, arguments.accelerator)}")


if __name__ == "__main__":
    main()
