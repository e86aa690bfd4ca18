"""Which games two players play: pairs of one opening with exchanged colours."""

from collections.abc import Iterator
from itertools import islice

from hantei_evaluator.suites.shogi.games import Game
from hantei_evaluator.suites.shogi.openings import Openings


def games_of(
    first: str, second: str, num_games: int, openings: Openings, *, pairing: str = "", begin: int = 0
) -> Iterator[Game]:
    """The games ``begin`` to ``begin + num_games`` of two players: pair 0 with the first as Black, then as White, pair 1...

    ``pairing`` is empty where there is one alone, else it tells the pairings of an evaluation apart and ends with ``/``.
    A game's id, its opening and its random stream depend on the seed, the pairing, the pair and the colour alone.
    """
    for number in range(begin, begin + num_games):
        pair = number // 2
        black, white = (second, first) if number % 2 else (first, second)
        name = f"{pairing}pair-{pair:04d}"
        colour = "white" if number % 2 else "black"
        yield Game(f"{name}-{colour}", name, black, white, openings.of(pairing, pair))


def interleaved(matches: list[Iterator[Game]]) -> Iterator[Game]:
    """A pair of each match in turn: whenever it is stopped, all have got equally far."""
    while matches:
        going_on = []
        for match in matches:
            pair = list(islice(match, 2))
            yield from pair
            if len(pair) == 2:
                going_on.append(match)
        matches = going_on
