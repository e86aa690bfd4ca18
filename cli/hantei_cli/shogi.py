"""``hantei shogi inspect``: what a policy network sees and says in given positions."""

import argparse
from typing import Any

from hantei_cli.evaluator import load

_MODULE = "hantei_evaluator.suites.shogi.inspect"


def add_parser(verbs: "argparse._SubParsersAction[Any]", *, wanted: bool) -> None:
    """Add ``shogi``; its arguments come from the suite, which is imported only when they are asked for."""
    parser = verbs.add_parser("shogi", help="look into Shogi checkpoints")
    commands = parser.add_subparsers(dest="shogi_command", required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="print planes, legal indices, logits and value for positions")
    if wanted:
        load(_MODULE).add_inspect_arguments(inspect)
    inspect.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    code: int | None = load(_MODULE).run_inspect(options)
    return code or 0
