"""Vela, Arm's compiler for Ethos-U NPUs, where a command is asked for it."""

from ._console import working


def add_vela_arguments(parser) -> None:
    """`--vela` and the NPU that it compiles for; see `vela_of`."""
    parser.add_argument(
        "--vela", action="store_true", help="compile the file for an Ethos-U NPU too"
    )
    parser.add_argument(
        "--accelerator",
        default="ethos-u55-128",
        metavar="NPU",
        help="of --vela, with its multiply-accumulates per cycle (default: %(default)s)",
    )


def vela_of(arguments):
    """What Vela says of `arguments.file`, where it is asked for; else None."""
    if not arguments.vela:
        return None
    from .. import tflite

    with working(f"compiling for {arguments.accelerator}"):
        return tflite.vela(arguments.file, arguments.accelerator)
