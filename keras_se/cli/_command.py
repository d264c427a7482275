"""What a command is, and how its arguments are read."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from ._flags import flags_of


@dataclass(frozen=True)
class Command:
    """One line of `keras-se --help`.

    Attributes:
        name: what the user types.
        summary: what it does, in one line.
        details: further text of its help, between the summary and the arguments.
        examples: the end of its help.
        add_arguments: adds its arguments to a parser.
        run: does the work and prints its result. It imports Keras itself, so that the help
            does not wait for it, and raises on errors.
    """

    name: str
    summary: str
    details: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def make_parser(commands: tuple[Command, ...], version: str) -> Parser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="keras-se",
        description="SE, SK and CBAM networks for Keras: from pictures to a checked file for "
        "phones and microcontrollers.",
        epilog="keras-se COMMAND --help shows the arguments of a command, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"keras-se {version}")
    _add_debug(parser, default=False)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        subparser = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.\n\n{command.details}",
            epilog=f"examples:\n{command.examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        _add_debug(subparser, default=argparse.SUPPRESS)  # keeps what stood before the command
        subparser.set_defaults(run=command.run, flags=flags_of(subparser))
    return parser


def _add_debug(parser: Parser, default) -> None:
    parser.add_argument(
        "--debug",
        action="store_true",
        default=default,
        help="show tracebacks and the log lines of TensorFlow",
    )
