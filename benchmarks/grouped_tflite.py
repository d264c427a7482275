"""A grouped 3x3 convolution in a converted file: time by the number of merged groups.

Command:  python benchmarks/grouped_tflite.py
Machine:  2 cores of an AMD EPYC with AVX512-VNNI, without AMX, shared with other work
Cost:     5 minutes
Expected: int8: groups of 4 channels gain by being merged to 16 (0.4 to 0.5 of the time), of 8
          a little (0.8 to 0.95), wider ones lose; dense takes 1.4 to 50 times as long.
          float32: merging 4 to 16 changes nothing, everything wider loses.

The fastest of 40 rounds on one thread, the variants taking turns, over the convolution with
all its groups. `keras_se.tflite.passes.merge_groups` takes its rule from here.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_se.tflite import Images, Runner, get_recipe
from keras_se.tflite.converter import run_converter

SHAPES = (  # channels, groups, height and width
    (64, 16, 32),
    (128, 32, 56),
    (256, 32, 28),
    (512, 32, 14),
    (1024, 32, 7),
    (256, 32, 56),
    (512, 32, 28),
)
ROUNDS = 40


def runner(channels: int, groups: int, size: int, recipe_name: str) -> Runner:
    inputs = keras.Input(batch_shape=(1, size, size, channels))
    conv = keras.layers.Conv2D(channels, 3, padding="same", groups=groups)
    model = keras.Model(inputs, conv(inputs))
    pixels = np.random.default_rng(0).normal(size=(2, size, size, channels)).astype("float32")
    recipe = get_recipe(recipe_name)
    io = "int8" if "int8" in recipe.ios else "float32"
    runner = Runner(run_converter(model, recipe, io, Images(pixels), False))
    runner.set_input(pixels[0])
    return runner


def main() -> None:
    for channels, groups, size in SHAPES:
        for recipe in ("float32", "static_int8"):
            merged = sorted({max(1, groups // n) for n in (1, 2, 4, 8, 16, 32)}, reverse=True)
            runners = {n: runner(channels, n, size, recipe) for n in merged}
            fastest = dict.fromkeys(merged, np.inf)
            for _ in range(ROUNDS):
                for n, each in runners.items():
                    start = time.perf_counter()
                    each.interpreter.invoke()
                    fastest[n] = min(fastest[n], time.perf_counter() - start)
            row = "  ".join(
                f"{n}: {1e6 * t:.0f} us ({t / fastest[groups]:.2f})" for n, t in fastest.items()
            )
            print(f"{channels} channels, {size}x{size}, {recipe}: {row}", flush=True)


if __name__ == "__main__":
    main()
