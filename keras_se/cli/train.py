"""`keras-se train`."""

import sys
from functools import partial
from pathlib import Path

from ..names import counted
from ._command import Command
from ._console import print_json, working
from ._signals import sigterm_raises
from ._train_flags import add_flags, given_values

DETAILS = """\
Trains a network on a folder of pictures (PNG and JPEG; other files are passed over), one folder
per class, or train/ and val/ (or valid/, validation/, test/) with one folder per class each.
Without other flags this is an SE-ResNet-20 for small pictures; for pictures of a few hundred
pixels take --preset finetune, which starts from published weights.

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


def _add_arguments(parser):
    parser.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings by name")
    parser.add_argument(
        "--preset",
        default="default",
        help="see above; others than default change the defaults below (default: %(default)s)",
    )
    add_flags(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, the result alone")
    parser.add_argument(
        "--json", action="store_true", help="print results.json in place of result and progress"
    )
    several = parser.add_argument_group("several processes")
    several.add_argument("--processes", type=int, metavar="N", help="on this machine")
    several.add_argument("--coordinator", metavar="HOST:PORT", help="where rank 0 is")
    several.add_argument("--rank", type=int, metavar="R", help="of this process, from 0")
    several.add_argument("--world", type=int, metavar="N", help="processes on all machines")


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
        from ..training.run import read_results
    train = _trainer(arguments)
    values = given_values(arguments)
    if arguments.quiet or arguments.json:
        values["verbose"] = 0
    else:
        values["verbose"] = 1 if sys.stdout.isatty() else 2
    settings = make_settings(arguments.preset, arguments.settings, **values)
    try:
        with sigterm_raises():
            train(settings)
    except KeyboardInterrupt as stop:
        raise type(stop)("" if arguments.rank else _saved(settings.output)) from None
    if arguments.rank:  # the files are where rank 0 is
        return
    results = read_results(settings.output)
    if arguments.json:
        print_json(results | {"output": str(settings.output)})
    else:
        _print(results, settings.output)


def _saved(output: Path) -> str:
    """Where the same command goes on."""
    from ..training.run import read_record

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
            print(f"  {name:20s} {'no picture' if accuracy is None else f'{accuracy:.1%}'}")
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
