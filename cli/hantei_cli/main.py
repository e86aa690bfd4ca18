"""``hantei``: one command, a module for each of its verbs."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from typing_extensions import override

from hantei_cli import evaluate, migrate, report, shogi

EX_USAGE = 64
"""sysexits.h: the command was used wrongly."""

EX_BROKEN_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""


class Parser(argparse.ArgumentParser):
    """Usage errors end with 64, which the operator knows for a bad task, instead of argparse's 2."""

    @override
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = Parser(prog="hantei", description="Evaluate checkpoints, on a laptop or on a Kubernetes cluster.")
    parser.add_argument("--version", action="version", version=f"hantei {version('hantei')}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    evaluate.add_parser(verbs)
    report.add_parser(verbs)
    migrate.add_parser(verbs)
    shogi.add_parser(verbs, wanted=arguments[:1] == ["shogi"])
    # What follows -- is the command suite's own, options and all.
    own, _, command = _split(arguments)
    options = parser.parse_args(own, argparse.Namespace(command=command))
    try:
        code: int = options.run(options, parser)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`); what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_BROKEN_PIPE
    return code


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())
