"""How the latency of a file is measured."""

import argparse


def add_latency_arguments(parser: argparse.ArgumentParser, runs: int) -> None:
    """`--runs`, with a default, and `--threads`."""
    parser.add_argument(
        "--runs",
        type=int,
        metavar="N",
        default=runs,
        help="runs behind each latency (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        default=1,
        help="of the interpreter (default: %(default)s)",
    )
