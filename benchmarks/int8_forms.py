"""What int8 gains by the forms that XNNPACK takes: average pools and hard swishes.

Command:  python benchmarks/int8_forms.py [NAME ...] [--rounds 40] [--size PIXELS]
Machine:  2 cores of an AMD EPYC with AVX512-VNNI, shared with other work
Cost:     a minute for each network on an idle machine, 3 GB
Expected: one partition; MobileNetV3Small 0.39 of the time (20 partitions when kept), InceptionV3
          and SEInceptionV3 0.81 (10 partitions)

Each network becomes two static_int8 files, as `convert` writes it and with
`Lowering(window_pool="keep", hard_swish="keep")`. Both run in one process and take turns, one
thread, random weights, batch 1; the thread's CPU time is taken.
"""

import argparse
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from latency import times_ms

from keras_se import applications
from keras_se.tflite import Images, Lowering, get_recipe, inspect, lower
from keras_se.tflite.converter import run_converter
from keras_se.tflite.passes import apply_passes

NETWORKS = {  # constructor and the usual size in pixels
    "MobileNetV3Small": (keras.applications.MobileNetV3Small, 224),
    "MobileNetV3Large": (keras.applications.MobileNetV3Large, 224),
    "InceptionV3": (keras.applications.InceptionV3, 299),
    "DenseNet121": (keras.applications.DenseNet121, 224),
    "SEInceptionV3": (applications.SEInceptionV3, 299),
}
FORMS = {
    "as converted": Lowering(),
    "kept": Lowering(window_pool="keep", hard_swish="keep"),
}
RECIPE = get_recipe("static_int8")


def files(name: str, size: int | None) -> dict[str, bytes]:
    """The two files of a network."""
    keras.utils.set_random_seed(0)
    constructor, usual_size = NETWORKS[name]
    shape = (size or usual_size, size or usual_size, 3)
    lowered = lower(constructor(weights=None, input_shape=shape))
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype("float32")
    return {
        form: run_converter(
            apply_passes(lowered, lowering, RECIPE), RECIPE, "int8", Images(pixels), False
        )
        for form, lowering in FORMS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NAME", help=f"of {list(NETWORKS)}")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--size", type=int, help="height and width; default: the network's usual")
    arguments = parser.parse_args()
    for name in arguments.networks or NETWORKS:
        contents = files(name, arguments.size)
        times = times_ms(contents, 1, arguments.rounds)
        ratios = [new / old for new, old in zip(*times.values(), strict=True)]
        for form, content in contents.items():
            print(
                f"{name:<17} {form:<13} {inspect(content).partitions:2} partitions "
                f"{statistics.median(times[form]):8.2f} ms"
            )
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        print(f"{name:<17} ratio {middle:.2f} ({low:.2f}-{high:.2f})", flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
