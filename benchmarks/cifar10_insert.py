"""SE inserted into a trained ResNet-20, and both fine-tuned equally long on CIFAR-10.

Command:  python benchmarks/cifar10_insert.py runs/ResNet-20-0/last.keras runs/pictures
Machine:  2 shared x86-64 cores, AMD EPYC
Cost:     8 minutes for two epochs of both, on free cores
Expected: both lose less than a point by the warm restart, and differ by chance (85.26 and 85.60 %
          of 85.96 % before); gates that have hardly left the identity

CHECKPOINT is what benchmarks/cifar10.py leaves of the plain network, PICTURES its folder of
train/CLASS/*.jpg and val/CLASS/*.jpg. Both networks start from the checkpoint: the inserted
gates are the identity, so the accuracy before is the same. They see the same pictures in the
same order, and the learning rate of the last epochs of a run. Interrupted, the same command
resumes.
"""

import argparse
import os
import platform
import statistics
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import keras_se
from keras_se.applications import profile
from keras_se.explain import gates
from keras_se.training import fit, make_settings, pictures_from_directory

NETWORKS = {
    "plain": lambda model: model,
    "SE inserted": lambda model: keras_se.insert(model, "se", after="residual"),
}
SOME = 500  # pictures whose gates are read


def tune(name: str, seed: int, arguments) -> keras.Model:
    """The network after its epochs, or what an earlier call left of it."""
    settings = make_settings(
        "default",
        data=arguments.pictures,
        output=arguments.work / f"{name.replace(' ', '-')}-{arguments.epochs}-{seed}",
        epochs=arguments.epochs,
        base_learning_rate=arguments.learning_rate,
        seed=seed,
        jit="off",
        checkpoint_steps=200,
        verbose=2,
    )
    settings.output.parent.mkdir(parents=True, exist_ok=True)
    model = NETWORKS[name](keras.saving.load_model(arguments.checkpoint, compile=False))
    print(f"{name}, seed {seed}", flush=True)
    return fit(settings, model=model).model


def accuracy(model, pictures) -> float:
    """Top-1 in percent."""
    scores = model.predict(model.preprocess(pictures.images), batch_size=250, verbose=0)
    return 100 * float((scores.argmax(axis=1) == pictures.labels).mean())


def spread_of_gates(model, pictures) -> float:
    """Mean over the channels of the standard deviation of their gates over the pictures."""
    some = pictures.images[:: max(1, len(pictures) // SOME)]
    found = gates(model, model.preprocess(some)).values()
    return float(np.mean(np.concatenate([gate.values.std(axis=0) for gate in found])))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--work", type=Path, default=Path("cifar10-runs/insert"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=0.1, help="for 256 pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()

    held_out = pictures_from_directory(arguments.pictures / "val", 32)
    before = accuracy(keras.saving.load_model(arguments.checkpoint, compile=False), held_out)
    tuned = {name: [tune(name, seed, arguments) for seed in arguments.seeds] for name in NETWORKS}
    print(
        f"\n{arguments.epochs} epochs, seeds {arguments.seeds}, {len(held_out)} pictures, "
        f"{platform.machine()}, {os.cpu_count()} CPUs\n"
    )
    print("| network | parameters | accuracy before % | after % | spread over seeds | gates |")
    print("|---|---|---|---|---|---|")
    for name, models in tuned.items():
        after = [accuracy(model, held_out) for model in models]
        spread = "" if name == "plain" else f"{spread_of_gates(models[0], held_out):.3f}"
        print(
            f"| {name} | {profile(models[0]).parameters:,} | {before:.2f} | "
            f"{statistics.mean(after):.2f} | {max(after) - min(after):.2f} | {spread} |"
        )


if __name__ == "__main__":
    main()
