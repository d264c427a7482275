"""What attention costs in a converted file: latency over plain ResNet-50, float32 and int8.

Command:  python benchmarks/latency.py [--rounds 60] [--size 224]
Machine:  EXPECTED_MACHINE
Cost:     COST
Expected: EXPECTED

All files of a recipe run in one process and take turns, so that a busy machine slows all
alike; batch 1, XNNPACK, random weights. Two ratios over ResNet50: of the fastest rounds, which
other people's work disturbs least, and the median of the ratios round by round.
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
from keras_se.tflite.convert import run_converter
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
    for _ in range(rounds):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner.interpreter.invoke()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def report(times: dict[str, list[float]], recipe: str, threads: int) -> None:
    plain = times[PLAIN]
    print(f"\n{recipe}, {threads} thread{'s' * (threads > 1)}, {len(plain)} rounds")
    print(f"{'':32} fastest ms  over {PLAIN}  median ms  median ratio")
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, plain, strict=True)]
        print(
            f"{name:32} {min(values):10.2f} {min(values) / min(plain):14.3f} "
            f"{statistics.median(values):10.2f} {statistics.median(ratios):13.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    networks = lowered_networks(arguments.size)
    for recipe in ("float32", "static_int8"):
        contents = files(networks, recipe, arguments.size)
        for threads in (1, 2):
            report(times_ms(contents, threads, arguments.rounds), recipe, threads)
            gc.collect()


if __name__ == "__main__":
    main()
