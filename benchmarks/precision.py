"""Does mixed precision train as float32 does? The demo's digits, several seeds of each.

Command:  python benchmarks/precision.py
          python benchmarks/precision.py --seeds 0 1 2 3 4 --jit
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     a few minutes for nine runs; on a CPU without such arithmetic the half precisions are
          slow, and only their accuracy is of interest
Expected: means over seeds within 0.5 points of float32 (measured 98.42, 98.61 and 98.42 %)

Each run is the training of `keras-se demo --precision P --seed S`; accuracy is that of the
359 held-out digits, where one picture is 0.28 points.
"""

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from keras_se.demo import HELD_OUT, Settings
from keras_se.demo.steps import build, load_pictures, train
from keras_se.training import split
from keras_se.training.precision import POLICIES


def accuracy(precision: str, seed: int, jit: bool) -> float:
    """Top-1 on the held-out digits, in percent."""
    settings = Settings(Path("unused"), precision=precision, seed=seed, jit=jit)
    keras.utils.set_random_seed(seed)
    kept, held_out = split(load_pictures(settings), HELD_OUT, seed)
    model = build(kept, settings)
    train(model, kept, held_out, settings)
    _, top1 = model.evaluate(model.preprocess(held_out.images), held_out.labels, verbose=0)
    return 100 * top1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precisions", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--jit", action="store_true", help="with XLA")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, keras {keras.__version__}")
    print("| precision | top-1 % by seed | mean | seconds a run |\n|---|---|---|---|")
    for precision in arguments.precisions:
        start = time.perf_counter()
        found = [accuracy(precision, seed, arguments.jit) for seed in arguments.seeds]
        seconds = (time.perf_counter() - start) / len(found)
        each = ", ".join(f"{one:.2f}" for one in found)
        print(
            f"| {precision} | {each} | {statistics.mean(found):.2f} | {seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
