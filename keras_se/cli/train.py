"""`keras-se train`."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ..names import counted
from ._command import Command
from ._console import working
from ._signals import sigterm_raises

DETAILS = """\
Trains a network on a folder of pictures (PNG and JPEG; other files are passed over), one folder
per class, or train/ and val/ with one folder per class each. Without other flags this is an
SE-ResNet-20 for small pictures; for pictures of a few hundred pixels take --preset finetune, which
starts from published weights.

Interrupted by Ctrl-C, a crash or a power cut, the same command resumes from the last
checkpoint, and ends with the same weights.

Writes into --output: settings.toml (all settings that were used), state.npz (for resuming),
log.csv, best.keras, last.keras, results.json, curves.png and confusion.png.

Several GPUs of one machine: --devices 0. Several processes on one machine: --processes N. Several
machines: --coordinator HOST:PORT --rank R --world N on each, with the address of the machine of
rank 0, which writes the files. Processes run on JAX: pip install "keras-se[jax]". The weights are
those of one device, unless whole batches are augmented (MixUp and the like).

presets, from which the defaults below come: default (small pictures, from random weights),
finetune (own pictures, from ImageNet's weights), cifar (He et al.), paper (Hu et al., ImageNet),
a1, a2, a3 (ResNet strikes back, ImageNet).
"""

EXAMPLES = """\
  keras-se train --data pictures/
  keras-se train --data pictures/ --preset finetune --model SEResNet50 --epochs 10
  keras-se train --data cifar10 --preset cifar --model-option depth=32
  keras-se train --settings train-output/settings.toml --output again --seed 1
  keras-se train --data pictures/ --processes 2
  keras-se train --data pictures/ --coordinator 10.0.0.1:4000 --rank 1 --world 2
"""

# Setting, type or choices, help. A test holds this against `FitSettings`, which is not
# imported here: it would bring Keras, and the help would wait.
FLAGS = (
    ("data", str, "folder of pictures, cifar10 (or another of Keras'), tfds:NAME or an .npz file"),
    ("output", Path, "where to write (default: train-output)"),
    ("model", str, "name, see keras-se models, or a .keras file"),
    ("weights", str, "imagenet, or a file"),
    ("image_size", int, "height and width in pixels (default: the network's own)"),
    ("epochs", int, "default: as many as make about 2,500 steps, from 15 to 60"),
    ("batch_size", int, "pictures in a step"),
    ("head_epochs", int, "of the epochs, those of the classifier alone, at the start"),
    ("frozen_epochs", int, "of the epochs, those with frozen BatchNorm, at the end"),
    ("optimizer", ("sgd", "adamw", "lamb"), ""),
    ("base_learning_rate", float, "highest one of a batch of 256; scaled linearly"),
    ("head_learning_rate", float, "the same for the classifier alone"),
    ("schedule", ("cosine", "step"), ""),
    ("decay_at", tuple, "parts of the run at which the schedule step divides by 10"),
    ("warmup", float, "part of the run in which the learning rate rises"),
    ("momentum", float, "of sgd"),
    ("nesterov", bool, "of sgd"),
    ("weight_decay", float, "on kernels only"),
    ("clip_norm", float, "largest norm of all gradients together; 0: no clipping"),
    ("ema", float, "momentum of a moving average of the weights; 0: none"),
    ("loss", ("crossentropy", "binary"), ""),
    ("label_smoothing", float, ""),
    ("crop", ("none", "padded", "resized"), "of training pictures, at random"),
    ("crop_area", float, "smallest part of the area that crop resized takes"),
    ("flip", bool, "mirror pictures at random"),
    ("randaugment_ops", int, "operations of RandAugment on a picture; 0: none"),
    ("randaugment_strength", float, "in [0, 1), a tenth of the papers' magnitude"),
    ("color_jitter", float, "strength in [0, 1); 0: none"),
    ("mixup", float, "alpha of MixUp; 0: none"),
    ("cutmix", float, "alpha of CutMix; 0: none"),
    ("validation", float, "part of every class set aside, where there is no val/"),
    ("validation_crop", float, "part of the short side that validation sees"),
    ("seed", int, "of the split, the weights, the order and the augmentation (default: 0)"),
    ("precision", ("float32", "mixed_bfloat16", "mixed_float16"), ""),
    ("jit", ("auto", "on", "off"), "XLA; auto is Keras' rule"),
    ("checkpoint_steps", int, "save the state every so many steps too, not only after epochs"),
    ("devices", int, "of this machine, that share every batch; 0: all (default: 1)"),
    ("tensorboard", bool, "write event files"),
    ("overwrite", bool, "start anew where --output holds another run"),
)
METAVARS: dict[type, str] = {str: "NAME", Path: "DIR"}


def _add_arguments(parser):
    parser.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings by name")
    parser.add_argument("--preset", default="default", help="see above (default: %(default)s)")
    for name, kind, text in FLAGS:
        shared: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        if kind is bool:
            shared["action"] = argparse.BooleanOptionalAction
        elif kind is tuple:
            shared |= {"type": float, "nargs": "+", "metavar": "PART"}
        elif isinstance(kind, tuple):
            shared["choices"] = kind
        else:
            shared |= {"type": kind, "metavar": METAVARS.get(kind, "N")}
        parser.add_argument(f"--{name.replace('_', '-')}", **shared)
    parser.add_argument(
        "--model-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a further argument of the network, such as depth=32 or attention=cbam",
    )
    several = parser.add_argument_group("several processes")
    several.add_argument("--processes", type=int, metavar="N", help="on this machine")
    several.add_argument("--coordinator", metavar="HOST:PORT", help="where rank 0 is")
    several.add_argument("--rank", type=int, metavar="R", help="of this process, from 0")
    several.add_argument("--world", type=int, metavar="N", help="processes on all machines")


def _option(text: str):
    """NAME=VALUE, with numbers, true and false as such."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--model-option takes NAME=VALUE. Received: {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _trainer(arguments):
    """settings -> None, in this process, in several, or in one beside others.

    Raises:
        ValueError: for arguments that do not belong together.
    """
    from ..training import distributed, fit

    joining = {name: getattr(arguments, name) for name in ("coordinator", "rank", "world")}
    given = [value is not None for value in joining.values()]
    if any(given) and (not all(given) or arguments.processes is not None):
        raise ValueError(
            "--coordinator, --rank and --world belong together, and not with --processes"
        )
    if all(given):
        return partial(distributed.launch_one, **joining)
    if arguments.processes is not None and arguments.processes != 1:
        return partial(distributed.launch, processes=arguments.processes)
    return fit


def _run(arguments):
    with working("loading Keras"):
        from ..training import make_settings
        from ..training.fit_results import read_results
    given = vars(arguments)
    values = {name: given[name] for name, _, _ in FLAGS if name in given}
    if arguments.model_option:
        values["model_options"] = dict(map(_option, arguments.model_option))
    values["verbose"] = 1 if sys.stdout.isatty() else 2
    train = _trainer(arguments)
    settings = make_settings(arguments.preset, arguments.settings, **values)
    try:
        with sigterm_raises():
            train(settings)
    except KeyboardInterrupt as stop:
        raise type(stop)("" if arguments.rank else _saved(settings.output)) from None
    if arguments.rank:  # the files are where rank 0 is
        return
    _print(read_results(settings.output), settings.output)


def _saved(output: Path) -> str:
    """Where the same command goes on."""
    from ..training.run_folder import read_record

    record = read_record(output)
    if record is None:
        return "nothing is saved yet; the same command begins anew"
    return f"saved after {record}; the same command resumes"


def _print(results: dict, output: Path) -> None:
    if results["unreadable"]:
        print(f"could not be read and skipped: {counted(len(results['unreadable']), 'picture')}")
        for name, reason in results["unreadable"].items():
            print(f"  {name}: {reason}")
    classes = results["class_accuracy"]
    if len(classes) <= 20:
        for name, accuracy in classes.items():
            print(f"  {name:20s} {accuracy:.1%}")
    print(
        f"{results['model']}: {results['accuracy']:.2%} of "
        f"{counted(results['pictures'], 'validation picture')} after "
        f"{counted(results['epochs'], 'epoch')} (best epoch {results['best_accuracy']:.2%}), "
        f"{results['seconds']:.0f} s; the files are in {output}"
    )


COMMAND = Command(
    name="train",
    summary="train a network on a folder of pictures; resumes where it was interrupted",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
