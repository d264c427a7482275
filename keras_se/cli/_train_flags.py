"""The flags of `keras-se train`: the settings of a run, and how a command line gives them."""

import argparse
import json
from pathlib import Path
from typing import Any

# Setting, type or choices, default, help. A test holds this against `FitSettings`, which is not
# imported here: it would bring Keras, and the help would wait.
FLAGS = (
    ("data", str, "", "folder of pictures, cifar10 (or another of Keras'), tfds:NAME or an .npz"),
    ("output", Path, Path("train-output"), "where to write"),
    ("model", str, "SEResNetCIFAR", "name, see keras-se models, or a .keras file"),
    ("weights", str, None, "imagenet, a file, or none: random ones"),
    ("image_size", int, None, "height and width in pixels (default: the network's own)"),
    ("epochs", int, None, "of the run (default: about 2,500 steps, from 15 to 60 epochs)"),
    ("batch_size", int, 64, "pictures in a step, on all devices together"),
    ("head_epochs", int, 0, "of the epochs, those of the classifier alone, at the start"),
    ("frozen_epochs", int, 0, "of the epochs, those with frozen BatchNorm, at the end"),
    ("optimizer", ("sgd", "adamw", "lamb"), "sgd", ""),
    ("base_learning_rate", float, 0.4, "highest one of a batch of 256; scaled linearly"),
    ("head_learning_rate", float, 0.1, "the same for the classifier alone"),
    ("schedule", ("cosine", "step"), "cosine", "of the learning rate"),
    ("decay_at", tuple, (0.3, 0.6, 0.9), "parts of the run at which schedule step divides by 10"),
    ("warmup", float, 0.05, "part of the run in which the learning rate rises"),
    ("momentum", float, 0.9, "of sgd"),
    ("nesterov", bool, True, "of sgd"),
    ("weight_decay", float, 5e-4, "on kernels only"),
    ("clip_norm", float, 0.0, "largest norm of all gradients together; 0: no clipping"),
    ("ema", float, 0.0, "momentum of a moving average of the weights; 0: none"),
    ("loss", ("crossentropy", "binary"), "crossentropy", "binary: one sigmoid per class"),
    ("label_smoothing", float, 0.1, "in [0, 1)"),
    ("crop", ("none", "padded", "resized"), "padded", "of training pictures, at random"),
    ("crop_area", float, 0.08, "smallest part of the area that crop resized takes"),
    ("flip", bool, True, "mirror pictures at random"),
    ("randaugment_ops", int, 0, "operations of RandAugment on a picture; 0: none"),
    ("randaugment_strength", float, 0.5, "in [0, 1), a tenth of the papers' magnitude"),
    ("color_jitter", float, 0.0, "strength in [0, 1); 0: none"),
    ("mixup", float, 0.0, "alpha of MixUp; 0: none"),
    ("cutmix", float, 0.0, "alpha of CutMix; 0: none"),
    ("validation", float, 0.1, "part of every class set aside, where there is no val/"),
    ("validation_crop", float, 1.0, "part of the short side that validation sees"),
    ("seed", int, 0, "of the split, the weights, the order and the augmentation"),
    ("precision", ("float32", "mixed_bfloat16", "mixed_float16"), "float32", "of the network"),
    ("jit", ("auto", "on", "off"), "auto", "XLA; auto is Keras' rule"),
    ("checkpoint_steps", int, 0, "save the state every so many steps too, not only after epochs"),
    ("devices", int, 1, "of this machine, that share every batch; 0: all"),
    ("tensorboard", bool, False, "write event files"),
    ("overwrite", bool, False, "start anew where --output holds another run"),
)
SHORT = {"output": "-o"}
METAVARS = {"data": "DIR", "output": "DIR", "weights": "NAME|FILE", "model": "NAME|FILE"}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for every setting, and `--model-option`; those that are not given are left out."""
    for name, kind, default, text in FLAGS:
        shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(text, default)}
        if kind is bool:
            shared["action"] = argparse.BooleanOptionalAction
        elif kind is tuple:
            shared |= {"type": float, "nargs": "+", "metavar": "PART"}
        elif isinstance(kind, tuple):
            shared["choices"] = kind
        else:
            shared |= {"type": kind, "metavar": METAVARS.get(name, "N")}
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(*([SHORT[name]] if name in SHORT else []), flag, **shared)
    parser.add_argument(
        "--model-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a further argument of the network, such as depth=32 or attention=cbam",
    )


def _help(text: str, default) -> str:
    """The help of a flag, with its default where that is a value."""
    if default is None or default == "":
        return text
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    elif isinstance(default, bool):
        default = "yes" if default else "no"
    elif isinstance(default, float):
        default = f"{default:g}"
    return f"{text} (default: {default})".lstrip()


def given_values(arguments: argparse.Namespace) -> dict:
    """The settings that a command line gives, for `make_settings`.

    Raises:
        ValueError: for a `--model-option` that is not NAME=VALUE.
    """
    given = vars(arguments)
    values = {name: given[name] for name, *_ in FLAGS if name in given}
    if values.get("weights") == "none":
        values["weights"] = None
    if arguments.model_option:
        values["model_options"] = dict(map(_option, arguments.model_option))
    return values


def _option(text: str):
    """NAME=VALUE, with numbers, true and false as such."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--model-option takes NAME=VALUE. Received: {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
