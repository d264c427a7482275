"""What the input pipeline of `fit` costs: CPU time per picture, and pictures per second.

Command:  python benchmarks/pipeline.py [--pictures 10000] [--size 32] [--batch 128] [--crop padded]
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     half a minute
Expected: less CPU time per picture from the second pass on, since only the first one decodes

Random JPEG files in a folder, kept in memory from the second pass on where they fit; the first pass
decodes. CPU time is that of the whole process, and little moved by other work on the machine.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

from keras_se.applications.preprocessing import IMAGENET
from keras_se.training import FitSettings, pipeline, sources


def write_pictures(folder: Path, count: int, size: int) -> None:
    """Two classes of patches, half of the pictures each, and one more of each to validate with."""
    random = np.random.default_rng(0)
    for part, pictures in (("train", count // 2), ("val", 1)):
        for label in range(2):
            directory = folder / part / str(label)
            directory.mkdir(parents=True)
            for number in range(pictures):
                patches = Image.fromarray(random.integers(0, 256, (4, 4, 3), "uint8"))
                patches.resize((size, size)).save(directory / f"{number:06d}.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=32, help="pixels")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--crop", choices=("padded", "resized", "none"), default="padded")
    parser.add_argument("--passes", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), arguments.pictures, arguments.size)
        settings = FitSettings(
            folder, batch_size=arguments.batch, image_size=arguments.size, crop=arguments.crop
        )
        source, _ = sources.load_sources(settings)
        batches = iter(pipeline.training_batches(source, settings, IMAGENET))
        steps = arguments.pictures // arguments.batch
        print(f"{platform.machine()}, {os.cpu_count()} CPUs, {vars(arguments)}")
        print(f"{'pass':>6}{'CPU ms / picture':>20}{'pictures / s':>16}")
        for number in range(1, arguments.passes + 1):
            cpu, start = time.process_time(), time.perf_counter()
            for _ in range(steps):
                next(batches)
            pictures = steps * arguments.batch
            cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
            print(f"{number:6}{1000 * cpu / pictures:20.3f}{pictures / seconds:16.0f}", flush=True)
        del batches  # an iterator without an end keeps Python from ending


if __name__ == "__main__":
    main()
