"""What attention costs in a converted file: latency over plain ResNet-50, float32 and int8.

Command:  python benchmarks/latency.py [--rounds 60] [--size 224] [--threads 1 2]
Machine:  2 cores of an AMD EPYC with AVX512-VNNI, without AMX, shared with other work
Cost:     4 to 8 minutes, 6 GB
Expected: one thread, over ResNet50 (float32 79 ms, int8 22 ms), 2026-11-23:
            SEResNet50    float32 1.011 (not folded 1.023)   int8 1.062 (not folded 1.068)
              inner       float32 1.004                      int8 1.025
            CBAMResNet50  float32 1.050 (not folded 1.047)   int8 1.148 (not folded 1.152)
          two threads (42 ms, 12 ms):
            SEResNet50    float32 1.012 (not folded 1.045)   int8 1.071 (not folded 1.079)
              inner       float32 1.011                      int8 1.032
            CBAMResNet50  float32 1.068 (not folded 1.072)   int8 1.186 (not folded 1.182)

All files of a recipe run in one process and take turns, so that a busy machine slows all
alike; batch 1, XNNPACK, random weights. With one thread, the thread's CPU time is taken, which
does not count what other people's work interrupts; with two, the wall clock. The ratio is the
median, and the quartiles, of the ratios over ResNet50 round by round. Ratios depend on the
machine: the faster its convolutions, the more attention weighs.
"""

import argparse
import gc
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_se import applications
from keras_se.tflite import Images, Lowering, Runner, get_recipe, lower
from keras_se.tflite.converter import run_converter
from keras_se.tflite.passes import apply_passes

PLAIN = "ResNet50"
NETWORKS = {
    PLAIN: {},
    "SEResNet50": {},
    "SEResNet50, inner": {"placement": "inner"},
    "CBAMResNet50": {},
}
FOLDED = {"SEResNet50", "CBAMResNet50"}
LOWERINGS = {"folded": Lowering(), "not folded": Lowering(fold_squeeze=False)}


def lowered_networks(size: int) -> dict[str, keras.Model]:
    """The networks as primitive layers, by name."""
    keras.utils.set_random_seed(0)
    networks = {}
    for name, options in NETWORKS.items():
        constructor = getattr(applications, name.split(",")[0])
        model = constructor(weights=None, input_shape=(size, size, 3), **options)
        networks[name] = lower(model)
        del model
        keras.backend.clear_session()
    return networks


def files(networks: dict[str, keras.Model], recipe_name: str, size: int) -> dict[str, bytes]:
    """The .tflite files by name, with and without folding where it applies."""
    recipe = get_recipe(recipe_name)
    images = Images(np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32"))
    converted = {}
    for name, lowered in networks.items():
        for label, lowering in LOWERINGS.items():
            if name not in FOLDED and label != "folded":
                continue
            model = apply_passes(lowered, lowering, recipe)
            key = f"{name}, {label}" if name in FOLDED else name
            converted[key] = run_converter(model, recipe, recipe.ios[0], images, False)
    return converted


def times_ms(contents: dict[str, bytes], threads: int, rounds: int) -> dict[str, list[float]]:
    """Times of the files, round by round."""
    runners = {name: Runner(content, threads) for name, content in contents.items()}
    image = np.zeros(next(iter(runners.values())).inputs[0].shape[1:])
    times = {name: [] for name in runners}
    for runner in runners.values():
        runner.set_input(image)
        runner.interpreter.invoke()
    clock = time.thread_time if threads == 1 else time.perf_counter
    for _ in range(rounds):
        for name, runner in runners.items():
            start = clock()
            runner.interpreter.invoke()
            times[name].append(1e3 * (clock() - start))
    return times


def report(times: dict[str, list[float]], recipe: str, threads: int) -> None:
    plain = times[PLAIN]
    print(f"\n{recipe}, {threads} thread{'s' * (threads > 1)}, {len(plain)} rounds")
    print(f"{'':26} median ms  over {PLAIN} (quartiles)")
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, plain, strict=True)]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        print(
            f"{name:26} {statistics.median(values):9.2f} {middle:9.3f} ({low:.3f}-{high:.3f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    networks = lowered_networks(arguments.size)
    for recipe in ("float32", "static_int8"):
        contents = files(networks, recipe, arguments.size)
        for threads in arguments.threads:
            report(times_ms(contents, threads, arguments.rounds), recipe, threads)
            gc.collect()


if __name__ == "__main__":
    main()
