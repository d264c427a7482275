"""Int8, pruning and clustering of a trained SE-ResNet-20 on CIFAR-10.

    python benchmarks/cifar10_int8.py CHECKPOINT TRAIN TEST [--epochs 2] [--pictures N]

CHECKPOINT is a .keras file, TRAIN and TEST are folders with one folder of pictures per class.
`--smoke` runs everything on random pictures and an untrained network of depth 8: a few
minutes on 2 shared x86-64 cores, where files of equal size compressed to 82 kB (int8),
60 kB (pruned) and 56 kB (16 clusters). Training dominates: five of the eight rows
come from one, and with `--epochs 1 --pictures 25000` all took 17 minutes on the same machine
with other work.
"""

import argparse
import json
import os
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


def files(model, train: Images, epochs: int):
    """Yield the name and bytes of each variant."""
    preprocess = model.preprocess
    some = train.pixels[:: max(1, len(train) // CALIBRATION)][:CALIBRATION]
    tuning = Tuning(train.pixels, train.labels, epochs=epochs, batch_size=128)

    def converted(network, recipe="static_int8", **options):
        return convert(network, recipe, some, **options).model

    yield "float", converted(model, "float32", preprocess=preprocess)
    yield "int8 after training", converted(model, preprocess=preprocess)
    tuned = keras.models.clone_model(model)
    tuned.set_weights(model.get_weights())
    tune(tuned, preprocess(train.pixels), train.labels, epochs)
    yield "float, tuned as long", converted(tuned, "float32", preprocess=preprocess)
    yield "int8 after that", converted(tuned, preprocess=preprocess)
    native = quantize_aware(model, preprocess, some)
    tune(native, train.pixels, train.labels, epochs)
    yield "int8 QAT, Keras", converted(native)
    tfmot = quantize_aware(model, preprocess, engine="tfmot", tuning=tuning)
    yield "int8 QAT, TFMOT", tfmot.tflite
    yield "pruned 50 %, int8", converted(prune(model, tuning, 0.5, preprocess=preprocess).model)
    yield "16 clusters, int8", converted(cluster(model, tuning, 16, preprocess=preprocess).model)


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
    for name, content in files(model, train, args.epochs):
        rows[name] = measure(content, test)
        values = "".join(f"{value:18.4g}" for value in rows[name].values())
        print(f"{name:22}{values}", flush=True)
    print(json.dumps(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
