"""The shipped openings: short, quiet, balanced beginnings of games, found by chance and sifted.

The file in ``data/`` is what ``hantei shogi openings --seed 1 --count 400`` prints.
"""

import random
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, Final

from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import parse_usi, usi
from hantei_evaluator.suites.shogi.games import FinishedGame, Game, Opening, Settings
from hantei_evaluator.suites.shogi.generate.material import PAWN, material, settled_material
from hantei_evaluator.suites.shogi.match import play
from hantei_evaluator.suites.shogi.players import HeuristicPlayer

PLAYOUT_PLIES: Final = 120
"""Plies after which a playout counts for the side with more material: long enough for an advantage to show."""


def generate_openings(
    *, seed: int, count: int, plies: int = 8, playouts: int = 64, tolerance: float = 0.1
) -> Iterator[list[int]]:
    """Openings of ``plies`` plies by their OpenSpiel ids, no two with the same final position.

    In each, after every ply and after the last with either side to move, no series of captures wins more than a pawn;
    material is even at the end and nobody is in check; and of ``playouts`` games of the heuristic player against itself
    Black scores 0.5 within ``tolerance``.
    """
    seen: set[str] = set()
    number = 0
    while len(seen) < count:
        actions = _quiet_plies(random.Random(f"generate/{seed}/{number}"), plies)  # noqa: S311  # reproducible
        number += 1
        if actions is None:
            continue
        position = str(_after(actions)).rsplit(" ", 1)[0]
        if position not in seen and abs(black_score(actions, playouts, seed) - 0.5) <= tolerance:
            seen.add(position)
            yield actions


def _quiet_plies(rng: random.Random, plies: int) -> list[int] | None:
    state, actions = rules.new_state(), list[int]()
    for _ in range(plies):
        actions.append(rng.choice(state.legal_actions()))
        state.apply_action(actions[-1])
        if state.is_terminal() or state.in_check() or settled_material(state) > PAWN:
            return None
    return actions if material(state) == 0 and _threatens_nothing(state) else None


def _threatens_nothing(state: Any) -> bool:
    """Whether the side that just moved could win no more than a pawn if it were to move again."""
    board, side, hands, number = str(state).split(" ")
    passed = rules.new_state(f"{board} {'w' if side == 'b' else 'b'} {hands} {number}")
    return bool(settled_material(passed) <= PAWN)


def black_score(actions: list[int], playouts: int, seed: int) -> float:
    """Black's mean score in games of the heuristic player against itself from there."""
    name = "heuristic"
    opening = Opening(actions=tuple(actions))
    games = (Game(f"playout-{number}", f"{number}", name, name, opening) for number in range(playouts))
    settings = Settings(seed=seed, max_moves=len(actions) + PLAYOUT_PLIES)
    played = play(
        games,
        {name: HeuristicPlayer()},
        settings,
        keep_going=lambda: True,
        slots=playouts,
        pace=nullcontext(),
        cpus=1,
    )
    return sum(map(_judge, played)) / playouts


def _judge(game: FinishedGame) -> float:
    if game.black_score != 0.5:
        return game.black_score
    lead = material(_after([parse_usi(move) for move in game.moves]))
    return 0.5 + 0.5 * ((lead > 0) - (lead < 0))


def _after(actions: list[int]) -> Any:
    state = rules.new_state()
    for action in actions:
        state.apply_action(action)
    return state


def to_line(actions: list[int]) -> str:
    """One line of the file."""
    return " ".join(map(usi, actions))
