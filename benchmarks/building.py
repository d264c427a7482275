"""Seconds to build a network, over keras.applications' ResNet50.

Command:  python benchmarks/building.py
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     half a minute
Expected: SEResNet50 takes at most 1.3 times as long as keras.applications' ResNet50, SENet154 at
          most 4 seconds

The networks take turns in one process; the figure is the least of the rounds.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from keras_se import applications

ROUNDS = 3
NETWORKS = {
    "keras.applications.ResNet50": keras.applications.ResNet50,
    "ResNet50": applications.ResNet50,
    "SEResNet50": applications.SEResNet50,
    "SEResNeXt50": applications.SEResNeXt50,
    "SENet154": applications.SENet154,
}


def seconds_to_build(constructor) -> float:
    start = time.perf_counter()
    constructor(weights=None)
    seconds = time.perf_counter() - start
    keras.backend.clear_session()
    return seconds


def main():
    constructors = NETWORKS.items()
    rounds = [{name: seconds_to_build(make) for name, make in constructors} for _ in range(ROUNDS)]
    least = {name: min(times[name] for times in rounds) for name in NETWORKS}
    reference = least["keras.applications.ResNet50"]
    for name, seconds in least.items():
        print(f"{name:30}{seconds:8.2f} s{seconds / reference:8.2f}")


if __name__ == "__main__":
    main()
