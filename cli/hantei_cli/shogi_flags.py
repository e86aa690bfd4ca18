"""The shogi suite's flags of ``hantei evaluate``."""

import argparse
import re
from typing import Any, Final, Protocol

from hantei_api.shogi import ActionPerspective, OpeningSource, OpponentType, ShogiStrategy

OPPONENT: Final = re.compile(
    r"(?P<name>[^=]+)=(?P<type>[a-z_]+)(?::(?P<file>.+?))?(?:@(?P<rating>[-+]?[0-9]+(?:\.[0-9]+)?))?"
)


class Inputs(Protocol):
    """Where the suite finds a file that a flag names."""

    def below(self, name: str, path: str) -> str:
        """Where the file or folder lies below the inputs."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    shogi = parser.add_argument_group("shogi")
    shogi.add_argument("--strategy", choices=[each.value for each in ShogiStrategy])
    shogi.add_argument("--opponent-type", choices=[each.value for each in OpponentType])
    shogi.add_argument("--opponent-checkpoint", metavar="FILE")
    shogi.add_argument(
        "--opponent",
        action="append",
        metavar="NAME=TYPE[:FILE][@RATING]",
        help="one of several opponents, for tournament, ladder and custom: best=checkpoint:best.pth@1650, chance=random",
    )
    shogi.add_argument(
        "--step", action="append", metavar="NAME=GAMES", help="so many games against that opponent, for custom"
    )
    shogi.add_argument("--num-games", type=int, metavar="N", help="games of each pairing, half with each colour")
    shogi.add_argument("--max-moves", type=int, metavar="PLIES")
    shogi.add_argument("--openings", choices=[each.value for each in OpeningSource])
    shogi.add_argument("--opening-plies", type=int, metavar="PLIES")
    shogi.add_argument("--action-perspective", choices=[each.value for each in ActionPerspective])
    shogi.add_argument(
        "--sprt",
        type=_elo_pair,
        metavar="ELO0,ELO1",
        help="end before --num-games once one of the two is clear (a negative one as --sprt=-10,40)",
    )
    shogi.add_argument("--sprt-alpha", type=float, metavar="P")
    shogi.add_argument("--sprt-beta", type=float, metavar="P")
    shogi.add_argument("--cases", metavar="FILE", help="JSON Lines of positions, for benchmark (default: mates in one)")
    shogi.add_argument("--games-per-case", type=int, metavar="N")
    shogi.add_argument("--initial-rating", type=float, metavar="ELO", help="this and the next three are for ladder")
    shogi.add_argument("--rating-range", type=float, metavar="ELO")
    shogi.add_argument("--max-opponents", type=int, metavar="N")
    shogi.add_argument("--k-factor", type=float, metavar="ELO")
    shogi.add_argument("--elo-registry", metavar="FILE", help="Keisei's elo_ratings.json, read and moved")


def suite_of(options: argparse.Namespace, inputs: Inputs) -> dict[str, Any]:
    """``suite.shogi`` as the flags describe it; ValueError names the flag that is wrong."""
    sprt = {"alpha": options.sprt_alpha, "beta": options.sprt_beta}
    if options.sprt is not None:
        sprt |= {"elo0": options.sprt[0], "elo1": options.sprt[1]}
    return {
        "strategy": options.strategy,
        "opponent": _some(
            type=options.opponent_type,
            checkpoint=inputs.below("opponent", options.opponent_checkpoint) if options.opponent_checkpoint else None,
        ),
        "opponents": [_opponent(text, inputs) for text in options.opponent] if options.opponent else None,
        "sequence": [_step(text) for text in options.step] if options.step else None,
        "num_games": options.num_games,
        "max_moves": options.max_moves,
        "openings": options.openings,
        "opening_plies": options.opening_plies,
        "action_perspective": options.action_perspective,
        "precision": options.precision,
        "sprt": _some(**sprt),
        "benchmark": _some(
            cases=inputs.below("cases", options.cases) if options.cases else None,
            games_per_case=options.games_per_case,
        ),
        "ladder": _some(
            initial_rating=options.initial_rating,
            rating_range=options.rating_range,
            max_opponents=options.max_opponents,
            k_factor=options.k_factor,
        ),
        "elo_registry": options.elo_registry and options.elo_registry.rpartition("/")[2],
    }


def _opponent(text: str, inputs: Inputs) -> dict[str, Any]:
    found = OPPONENT.fullmatch(text)
    if found is None:
        raise ValueError(f"--opponent {text}: write --opponent NAME=TYPE[:FILE][@RATING]")
    if found["type"] not in list(OpponentType):
        types = ", ".join(OpponentType)
        raise ValueError(f"--opponent {text}: the type is {found['type']!r}; it must be one of {types}")
    opponent: dict[str, Any] = {"name": found["name"], "type": found["type"]}
    if found["file"]:
        opponent["checkpoint"] = inputs.below(f"opponent-{found['name']}", found["file"])
    if found["rating"]:
        opponent["rating"] = float(found["rating"])
    return opponent


def _step(text: str) -> dict[str, Any]:
    name, equals, games = text.partition("=")
    if not (name and equals and games.isdecimal()):
        raise ValueError(f"--step {text}: write --step NAME=GAMES")
    return {"opponent": name, "num_games": int(games)}


def _elo_pair(text: str) -> tuple[float, float]:
    elo0, _, elo1 = text.partition(",")
    try:
        return float(elo0), float(elo1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write two Elo differences, for example 0,50") from None


def _some(**values: Any) -> dict[str, Any] | None:
    """What was named on the command line; None when nothing was."""
    return {name: value for name, value in values.items() if value is not None} or None
