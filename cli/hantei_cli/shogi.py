"""``hantei shogi``: what a policy network sees in given positions, and how openings and benchmark cases are made."""

import argparse
import json
from typing import Any

from hantei_cli.evaluator import load

_MODULE = "hantei_evaluator.suites.shogi.inspect"
_OPENINGS = "hantei_evaluator.suites.shogi.generate.openings"
_MATES = "hantei_evaluator.suites.shogi.generate.mates"


def add_parser(verbs: "argparse._SubParsersAction[Any]", *, wanted: bool) -> None:
    """Add ``shogi``; its arguments come from the suite, which is imported only when they are asked for."""
    parser = verbs.add_parser("shogi", help="look into Shogi checkpoints, make openings and cases")
    commands = parser.add_subparsers(dest="shogi_command", required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="print planes, legal indices, logits and value for positions")
    if wanted:
        load(_MODULE).add_inspect_arguments(inspect)
    inspect.set_defaults(run=_inspect)
    openings = commands.add_parser(
        "openings",
        help="print balanced openings",
        description="Print openings, a line each, moves in USI. --seed 1 --count 400 prints the shipped ones (minutes).",
    )
    openings.add_argument("--seed", type=int, default=1, help="default 1")
    openings.add_argument("--count", type=_positive, default=400, metavar="N", help="default 400")
    openings.add_argument("--plies", type=_positive, default=8, metavar="PLIES", help="default 8")
    openings.set_defaults(run=_openings)
    cases = commands.add_parser(
        "cases",
        help="print mates in one",
        description="Print benchmark cases, mates in one, as JSON Lines. --seed 1 --count 100 prints the shipped ones.",
    )
    cases.add_argument("--seed", type=int, default=1, help="default 1")
    cases.add_argument("--count", type=_positive, default=100, metavar="N", help="default 100")
    cases.set_defaults(run=_cases)


def _inspect(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    code: int | None = load(_MODULE).run_inspect(options)
    return code or 0


def _openings(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    module = load(_OPENINGS)
    for opening in module.generate_openings(seed=options.seed, count=options.count, plies=options.plies):
        print(module.to_line(opening), flush=True)
    return 0


def _cases(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    for case in load(_MATES).generate_mates(seed=options.seed, count=options.count):
        print(json.dumps(case), flush=True)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number of at least 1")
    return int(text)
