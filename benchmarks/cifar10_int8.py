"""Int8, pruning and clustering of a trained network on CIFAR-10.

Command:  python benchmarks/cifar10_int8.py CHECKPOINT TRAIN TEST [--epochs 2] [--pictures N]
          python benchmarks/cifar10_int8.py CHECKPOINT TRAIN TEST --files float int8 float-tuned qat
          python benchmarks/cifar10_int8.py --smoke    # random pictures, an untrained network
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     17 minutes with --epochs 1 --pictures 25000, nearly all of it the training behind five of
          the eight rows; --smoke a few minutes
Expected: int8 files within half a point of the float one, at a third of its size; with --smoke
          82 kB (int8), 60 kB (pruned) and 56 kB (16 clusters) when compressed

CHECKPOINT is a .keras file, TRAIN and TEST are folders with one folder of pictures per class. What
was measured: docs/cifar10.md.
"""

import argparse
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from keras_se.applications import SEResNetCIFAR
from keras_se.tflite import (
    Images,
    Runner,
    Tuning,
    cluster,
    compressed_size_bytes,
    convert,
    load_images,
    prune,
    quantize_aware,
)
from keras_se.training import FitSettings
from keras_se.training.pipeline.crop import shift_and_flip

CALIBRATION = 500  # pictures
COLUMNS = ("accuracy", "size_bytes", "compressed_bytes", "latency_ms")


def measure(content: bytes, test: Images) -> dict:
    """Accuracy, size, compressed size and median latency of one file."""
    runner = Runner(content)
    hits = [runner(x)[0].argmax() == y for x, y in zip(test.pixels, test.labels, strict=True)]
    values = (
        float(np.mean(hits)),
        len(content),
        compressed_size_bytes(content),
        runner.latency_ms(test.pixels[0], runs=50),
    )
    return dict(zip(COLUMNS, values, strict=True))


@dataclass
class Case:
    """A trained network, the pictures that tune it, and for how many epochs."""

    model: keras.Model
    train: Images
    epochs: int

    def __post_init__(self):
        self.some = self.train.pixels[:: max(1, len(self.train) // CALIBRATION)][:CALIBRATION]
        self.preprocess = self.model.preprocess
        pixels = augmented(self.train.pixels)
        self.tuning = Tuning(pixels, self.train.labels, epochs=self.epochs, batch_size=128)

    def file(self, network, recipe="static_int8", **options) -> bytes:
        return convert(network, recipe, self.some, **options).model

    def plain(self, network, recipe="static_int8") -> bytes:
        return self.file(network, recipe, preprocess=self.preprocess)

    def tuned_file(self, tuned) -> bytes:
        return self.file(tuned.model, preprocess="included")

    @cached_property
    def tuned(self) -> keras.Model:
        """The float network, tuned as long as those that are quantized."""
        tuned = keras.models.clone_model(self.model)
        tuned.set_weights(self.model.get_weights())
        tune(tuned, self.preprocess(self.tuning.images), self.tuning.labels, self.epochs)
        return tuned

    def native(self) -> bytes:
        native = quantize_aware(self.model, self.preprocess, self.some)
        tune(native, self.tuning.images, self.tuning.labels, self.epochs)
        return self.file(native)

    def tfmot(self) -> bytes:
        options = {"engine": "tfmot", "tuning": self.tuning}
        return quantize_aware(self.model, self.preprocess, **options).tflite

    def pruned(self) -> bytes:
        return self.tuned_file(prune(self.model, self.tuning, 0.5, preprocess=self.preprocess))

    def clustered(self) -> bytes:
        return self.tuned_file(cluster(self.model, self.tuning, 16, preprocess=self.preprocess))


FILES = {
    "float": lambda case: case.plain(case.model, "float32"),
    "int8": lambda case: case.plain(case.model),
    "float-tuned": lambda case: case.plain(case.tuned, "float32"),
    "int8-tuned": lambda case: case.plain(case.tuned),
    "qat": Case.native,
    "qat-tfmot": Case.tfmot,
    "pruned": Case.pruned,
    "clustered": Case.clustered,
}


def augmented(pixels: np.ndarray) -> np.ndarray:
    """Every picture once, shifted by up to 4 pixels and perhaps mirrored, as in training."""
    settings = FitSettings("", image_size=pixels.shape[1], batch_size=len(pixels))
    return np.asarray(shift_and_flip(pixels, settings, 0, slice(None)))


def tune(model, images, labels, epochs: int) -> None:
    """What `Tuning` does in the other engine."""
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=False,
    )
    model.fit(images, labels, batch_size=128, epochs=epochs, verbose=2)


def random_pictures(count: int) -> Images:
    random = np.random.default_rng(0)
    return Images(
        random.integers(0, 256, (count, 32, 32, 3), "uint8"), random.integers(0, 10, count)
    )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", nargs="?", help=".keras file of a trained network")
    parser.add_argument("train", nargs="?", type=Path, help="folder of pictures by class")
    parser.add_argument("test", nargs="?", type=Path, help="folder of pictures by class")
    parser.add_argument("--epochs", type=int, default=2, help="of every tuning")
    parser.add_argument("--pictures", type=int, help="tune with so many of TRAIN (default: all)")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--files", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--smoke", action="store_true", help="random pictures, tiny network")
    args = parser.parse_args()
    if not args.smoke and args.test is None:
        parser.error("CHECKPOINT, TRAIN and TEST are needed, or --smoke")
    return args


def main():
    args = arguments()
    if args.smoke:
        model = SEResNetCIFAR(8, weights=None)
        train = test = random_pictures(64)
    else:
        model = keras.saving.load_model(args.checkpoint)
        shape = model.inputs[0].shape[1:]
        shuffled = load_images(args.train, shape, raw_pixels=True)
        order = np.random.default_rng(0).permutation(len(shuffled))[: args.pictures]
        train = Images(shuffled.pixels[order], shuffled.labels[order])
        test = load_images(args.test, shape, raw_pixels=True)
    rows = {}
    print(f"{'':22}" + "".join(f"{column:>18}" for column in COLUMNS))
    case = Case(model, train, args.epochs)
    for name in args.files:
        rows[name] = measure(FILES[name](case), test)
        values = "".join(f"{value:18.4g}" for value in rows[name].values())
        print(f"{name:22}{values}", flush=True)
    print(json.dumps(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
