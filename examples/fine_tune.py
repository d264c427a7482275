"""Fine-tune a trained network on your pictures: its classifier first, then everything.

    python examples/fine_tune.py --data pictures/     # from ImageNet's weights, downloaded once
    python examples/fine_tune.py                      # on digits, nothing is downloaded

pictures/ holds one folder per class. Without it, a small network learns the digits 0 to 4 and
is then fine-tuned on fifty pictures of each of 5 to 9. Interrupted, the same command resumes.
--output gets best.keras, curves.png, confusion.png, results.json and more.
"""

import argparse
from pathlib import Path

import numpy as np

from keras_se.training import fit, load_digits, make_settings
from keras_se.training.run import read_results


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tune a trained network.")
    parser.add_argument("--data", help="pictures, one folder per class (default: digits)")
    parser.add_argument("--model", default="SEResNet50", help="with --data (default: %(default)s)")
    parser.add_argument("--weights", default="imagenet", help="of the model: a name or a file")
    parser.add_argument("--output", type=Path, default=Path("fine-tune-output"))
    parser.add_argument("--tiny", action="store_true", help="a few steps, to try the script")
    options = parser.parse_args()

    task = {"data": options.data, "model": options.model, "weights": options.weights}
    if options.data is None:
        task = trained_on_digits(options.output, options.tiny)
    if options.tiny:
        task |= {"image_size": 32, "epochs": 3, "head_epochs": 1, "frozen_epochs": 1}
    # The preset trains the classifier alone for 3 epochs, then everything at a lower rate, and
    # freezes the BatchNorms in the last 2. Whatever `FitSettings` has can be changed here.
    settings = make_settings("finetune", output=options.output / "tuned", verbose=2, **task)
    fit(settings)
    results = read_results(settings.output)
    print(f"accuracy: {results['accuracy']:.1%} of {results['pictures']} pictures set aside")
    print(f"the files are in {settings.output}")


def trained_on_digits(output: Path, tiny: bool) -> dict:
    """Train a network on the digits 0 to 4; return settings to fine-tune it on 5 to 9."""
    per_class = 20 if tiny else 50
    known, new = output / "known.npz", output / "new.npz"
    output.mkdir(parents=True, exist_ok=True)
    save_digits(known, range(5), per_class if tiny else None)
    save_digits(new, range(5, 10), per_class)
    network = {
        "model": "SEResNetCIFAR",
        "model_options": {"depth": 8},
        "image_size": 32,
        "crop": "padded",
        "flip": False,  # digits have a left and a right
        "color_jitter": 0.0,
        "validation_crop": 1.0,
    }
    pretrained = output / "pretrained"
    fit(make_settings(data=known, output=pretrained, epochs=1 if tiny else 8, verbose=2, **network))
    return {"data": new, "weights": str(pretrained / "best.keras"), **network}


def save_digits(path: Path, classes: range, per_class: int | None) -> None:
    """Write digits as arrays, which `fit` takes as it takes a folder."""
    digits = load_digits(32, channels=3)
    chosen = [np.flatnonzero(digits.labels == label)[:per_class] for label in classes]
    images = digits.images[np.concatenate(chosen)]
    labels = np.repeat(range(len(classes)), [len(of_class) for of_class in chosen])
    np.savez(path, x_train=images, y_train=labels, class_names=[str(label) for label in classes])


if __name__ == "__main__":
    main()
