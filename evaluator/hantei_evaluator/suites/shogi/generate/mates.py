"""The shipped benchmark: mates in one, from the ends of games of the heuristic player against itself.

The file in ``data/`` is what ``hantei shogi cases --seed 1 --count 100`` prints.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from itertools import count as count_from
from typing import Any, Final

from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import parse_usi, usi
from hantei_evaluator.suites.shogi.games import Game, Opening, Settings
from hantei_evaluator.suites.shogi.match import play
from hantei_evaluator.suites.shogi.players import HeuristicPlayer
from hantei_evaluator.suites.shogi.rules import Termination

GAME_PLIES: Final = 400
GAMES_AT_ONCE: Final = 128
MOST_MATES: Final = 3
LEAST_MOVES: Final = 60
"""With at most three mates among at least sixty moves, chance solves one case in twenty."""


def generate_mates(*, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Cases ``{"name", "sfen", "moves"}``: the side to move mates at once with each of ``moves`` and with no other.

    Half of them with each colour, no two with the same position.
    """
    seen: set[str] = set()
    wanted = {rules.BLACK: count - count // 2, rules.WHITE: count // 2}
    for moves in chain.from_iterable(_mating_games(seed, first) for first in count_from(step=GAMES_AT_ONCE)):
        state = rules.new_state()
        for move in moves[:-1]:
            state.apply_action(parse_usi(move))
        position = str(state).rsplit(" ", 1)[0]
        if wanted[state.current_player()] and position not in seen:
            found = mates_in_one(state)
            if len(found) <= MOST_MATES and len(state.legal_actions()) >= LEAST_MOVES:
                seen.add(position)
                wanted[state.current_player()] -= 1
                yield {"name": f"mate-{len(seen):03d}", "sfen": str(state), "moves": [usi(action) for action in found]}
        if not any(wanted.values()):
            return


def mates_in_one(state: Any) -> list[int]:
    """All moves that end the game by checkmate, found by trying every one."""
    found = []
    for action in state.legal_actions():
        child = state.clone()
        child.apply_action(action)
        if child.is_terminal() and rules.end_of(child).termination is Termination.CHECKMATE:
            found.append(action)
    return found


def _mating_games(seed: int, first: int) -> list[list[str]]:
    """The moves of those of the next games that ended by checkmate."""
    name = "heuristic"
    numbers = range(first, first + GAMES_AT_ONCE)
    games = (Game(f"mate-{number:06d}", f"{number}", name, name, Opening()) for number in numbers)
    played = play(
        games,
        {name: HeuristicPlayer()},
        Settings(seed=seed, max_moves=GAME_PLIES),
        keep_going=lambda: True,
        slots=GAMES_AT_ONCE,
        pace=nullcontext(),
        cpus=1,
    )
    mated = [game for game in played if game.termination is Termination.CHECKMATE]
    return [game.moves for game in sorted(mated, key=lambda game: game.game.sample_id)]
