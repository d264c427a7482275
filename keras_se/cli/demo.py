"""`keras-se demo`."""

import sys
from dataclasses import fields
from pathlib import Path

from ._command import Command
from ._console import print_json, working

DETAILS = """\
Trains a small SE network on real pictures, converts it to int8, runs the file on the held-out
fifth of them, and prints one table. The pictures are scikit-learn's 1,797 handwritten digits
(pip install "keras-se[demo]"), or your own. About a minute on two cores for the digits.

Writes into --output: model.keras, model_int8.tflite, results.json and report.png.
"""

EXAMPLES = """\
  keras-se demo
  keras-se demo --data pictures/ --output my-demo
  keras-se demo --data pictures/ --image-size 96 --depth 20 --epochs 40

pictures/ has one folder per class (PNG or JPEG), named as the class:
  pictures/cat/1.jpg  pictures/cat/2.jpg  pictures/dog/a.png  ...
"""


def _add_arguments(parser):
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("demo-output"),
        help="where to write (default: %(default)s)",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="your own pictures, see below")
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="height and width that pictures are resized to, at least 32 (default: 64 with "
        "--data, 32 for the digits)",
    )
    parser.add_argument(
        "--depth",
        type=int,
        metavar="N",
        default=8,
        help="weighted layers of the SE-ResNet: 8, 14, 20, ... (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="of training (default: as many as make about 230 steps, 10 for the digits)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        help="of the split, the weights and the order of the pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        default="float32",
        help="that the network is trained in (default: %(default)s)",
    )
    parser.add_argument(
        "--jit", action="store_true", help="train with XLA on every device (default: Keras' choice)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the files of an earlier run"
    )
    parser.add_argument(
        "--json", action="store_true", help="print results.json in place of table and progress"
    )


def _run(arguments):
    with working("loading Keras"):
        from .. import demo
    settings = {field.name: getattr(arguments, field.name) for field in fields(demo.Settings)}
    verbose = int(sys.stdout.isatty() and not arguments.json)
    results = demo.run(demo.Settings(**settings), working, verbose)
    if arguments.json:
        print_json(results)
        return
    _print_table(results)
    print(f"{results['seconds']['total']:.0f} s; the files are in {arguments.output}")


def _print_table(results: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    held_out, runs = results["pictures"]["held_out"], results["latency"]["runs"]
    table = Table(
        title=f"{results['model']['name']} on {held_out} held-out pictures",
        caption=f".tflite files of the recipes {results['float']['recipe']} and "
        f"{results['int8']['recipe']} in the LiteRT interpreter; agreement and SNR against the "
        f"Keras model; median latency of {runs} runs on one thread",
        caption_justify="left",
    )
    table.add_column()
    for title in ("top-1", "agreement", "SNR (dB)", "size (bytes)", "latency (ms)"):
        table.add_column(title, justify="right")
    for name in ("float", "int8"):
        row = results[name]
        table.add_row(
            name,
            f"{row['accuracy']:.4f}",
            f"{row['agreement']:.4f}",
            f"{float(row['snr_db']):.1f}",
            f"{row['size_bytes']:,}",
            f"{row['latency_ms']:.3f}",
        )
    Console().print(table)


COMMAND = Command(
    name="demo",
    summary="train, convert and check a small network on real pictures",
    details=DETAILS,
    examples=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
