"""Attention on CIFAR-10: ResNet-20 and its SE, CBAM and SK twins, trained alike.

Command:  python benchmarks/cifar10.py cifar10_train.tar.xz cifar10_test.tar.xz --work runs
          python benchmarks/cifar10.py ... --short --seeds 0 1 2    # 20 epochs
          python benchmarks/cifar10.py ... --depth 110 --networks ResNet SE-ResNet   # Hu et al.
          python benchmarks/cifar10.py ... --per-class 20 --epochs 1 --networks SE-ResNet
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     an epoch on 50,000 pictures one to two minutes; the last command a minute
Expected: error after 164 epochs: ResNet-20 8.75 % (He et al.); ResNet-110 6.37 %, SE-ResNet-110
          5.21 % (Hu et al., table 6). What was measured here: docs/cifar10.md

The archives hold train/CLASS/*.jpg and test/CLASS/*.jpg. The recipe is the preset "cifar" of
keras_se.training (He et al., section 4.2) with 164 epochs, or SHORT below. Interrupted, the same
command resumes. The test pictures are looked at after every epoch but choose nothing: the accuracy
is that of the last epoch.
"""

import argparse
import os
import platform
import statistics
import tarfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_se import tflite
from keras_se.applications import profile
from keras_se.training import fit, make_settings, pictures_from_directory
from keras_se.training.run import read_results

NETWORKS = {
    "ResNet": ("ResNetCIFAR", {}),
    "SE-ResNet": ("SEResNetCIFAR", {}),
    "CBAM-ResNet": ("ResNetCIFAR", {"attention": "cbam"}),
    "SK-ResNet": ("ResNetCIFAR", {"conv": "sk"}),
}
SHORT = {
    "epochs": 20,
    "batch_size": 128,
    "base_learning_rate": 0.2,  # 0.1
    "label_smoothing": 0.0,
    "precision": "mixed_bfloat16",  # 0.7 of float32's time on a CPU with AVX512-BF16
}
CALIBRATION = 500


def extract(archives, work: Path, per_class: int | None) -> Path:
    """Both archives as work/pictures/train and val; a folder of links where it is a part."""
    pictures = work / "pictures"
    for archive, name in zip(archives, ("train", "test"), strict=True):
        if not (pictures / name).is_dir():
            unpacked = pictures / f".{name}"
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
            (unpacked / name).rename(pictures / name)
    if not (pictures / "val").exists():
        (pictures / "val").symlink_to("test")
    if per_class is None:
        return pictures
    part = work / f"pictures-{per_class}"
    for name in ("train", "val"):
        for folder in sorted((pictures / name).iterdir()):
            (part / name / folder.name).mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.iterdir())[:per_class]:
                link = part / name / folder.name / file.name
                if not link.exists():
                    link.symlink_to(file.resolve())
    return part


def train(network: str, seed: int, data: Path, arguments) -> dict:
    """One run, or what it left: accuracy in Keras and in int8, cost, time of a step."""
    model, options = NETWORKS[network]
    values = SHORT if arguments.short else {}
    settings = make_settings(
        arguments.preset,
        data=data,
        output=arguments.work / f"{network}-{arguments.depth}-{seed}",
        model=model,
        model_options={"depth": arguments.depth, **options},
        seed=seed,
        checkpoint_steps=200,
        jit=arguments.jit,
        verbose=2,
        **values | ({} if arguments.epochs is None else {"epochs": arguments.epochs}),
    )
    settings.output.parent.mkdir(parents=True, exist_ok=True)
    print(f"{network}-{arguments.depth}, seed {seed}", flush=True)
    model = fit(settings).model
    results, cost = read_results(settings.output), profile(model)
    held_out = pictures_from_directory(data / "val", 32)
    calibration = pictures_from_directory(data / "train", 32).images
    calibration = calibration[:: max(1, len(calibration) // CALIBRATION)]
    file = tflite.convert(model, "static_int8", calibration, preprocess=model.preprocess)
    comparison = tflite.compare(
        model, file.model, held_out.images, held_out.labels, preprocess=model.preprocess, runs=50
    )
    return {
        "parameters": cost.parameters,
        "mmacs": cost.macs / 1e6,
        "accuracy": 100 * results["accuracy"],
        "step_ms": 1000 * results["batch_size"] / results["images_per_second"],
        "int8": 100 * comparison.file_accuracy,
    }


def row(network: str, runs: list[dict]) -> str:
    """Means over seeds, and the spread of the accuracy."""
    mean = {name: statistics.mean(run[name] for run in runs) for name in runs[0]}
    accuracies = [run["accuracy"] for run in runs]
    return (
        f"| {network} | {mean['parameters']:,.0f} | {mean['mmacs']:.1f} | {mean['accuracy']:.2f} | "
        f"{max(accuracies) - min(accuracies):.2f} | {mean['step_ms']:.0f} | {mean['int8']:.2f} |"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", nargs=2, type=Path, metavar="ARCHIVE", help="train, test")
    parser.add_argument("--work", type=Path, default=Path("cifar10-runs"))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--preset", help="of keras_se.training; default: cifar")
    parser.add_argument("--short", action="store_true", help="the preset default with SHORT")
    parser.add_argument("--epochs", type=int, help="default: the preset's own")
    parser.add_argument("--jit", default="off", help="XLA; slower for these networks on a CPU")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--per-class", type=int, help="of each class so many pictures only")
    arguments = parser.parse_args()
    arguments.preset = arguments.preset or ("default" if arguments.short else "cifar")
    data = extract(arguments.archives, arguments.work, arguments.per_class)
    runs = {
        name: [train(name, seed, data, arguments) for seed in arguments.seeds]
        for name in arguments.networks
    }
    print(
        f"\nDepth {arguments.depth}, seeds {arguments.seeds}, {platform.machine()}, "
        f"{os.cpu_count()} CPUs\n"
    )
    print("| network | parameters | MMACs | accuracy % | spread | step ms | int8 accuracy % |")
    print("|---|---|---|---|---|---|---|")
    for name, of_network in runs.items():
        print(row(name, of_network))


if __name__ == "__main__":
    main()
