"""Where games start: one opening for each pair of games, from the shipped set or of random plies."""

import hashlib
import random
from functools import cache
from pathlib import Path
from typing import Final

from hantei_api.shogi import OpeningSource
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import parse_usi
from hantei_evaluator.suites.shogi.games import Opening

SHIPPED: Final = Path(__file__).parent / "data" / "openings.txt"
"""One opening a line, moves in USI; ``hantei shogi openings`` made it (``generate/openings.py``)."""

EXTRA_PLIES: Final = 4
"""Random plies behind a shipped opening that was used already."""

_ATTEMPTS: Final = 100


class Openings:
    """The openings of an evaluation: the same for the same seed, pairing and number of the pair."""

    def __init__(self, source: OpeningSource, *, random_plies: int, seed: int) -> None:
        self._source = source
        self._random_plies = random_plies
        self._seed = seed

    @property
    def digest(self) -> str:
        """What the openings depend on beside the seed, in short."""
        if self._source is OpeningSource.RANDOM:
            return f"random, {self._random_plies} plies"
        return f"shipped, sha256 {hashlib.sha256(SHIPPED.read_bytes()).hexdigest()}"

    @property
    def most_plies(self) -> int:
        """Plies of the longest opening."""
        if self._source is OpeningSource.RANDOM:
            return self._random_plies
        return max(line.count(" ") + 1 for line in shipped_openings()) + EXTRA_PLIES

    def of(self, pairing: str, pair: int) -> Opening:
        """The opening of a pairing's pair: each shipped one once, in an order of the seed's, then again with random plies.

        ``pairing`` is its name in sample ids, empty where there is one alone.
        """
        if self._source is OpeningSource.RANDOM:
            return Opening(actions=self._random(pairing, pair, (), self._random_plies))
        lines = _shuffled(self._seed, pairing)
        actions = tuple(parse_usi(move) for move in lines[pair % len(lines)].split())
        if pair >= len(lines):
            actions = self._random(pairing, pair, actions, EXTRA_PLIES)
        return Opening(actions=actions)

    def _random(self, pairing: str, pair: int, beginning: tuple[int, ...], plies: int) -> tuple[int, ...]:
        for attempt in range(_ATTEMPTS):
            rng = random.Random(f"opening/{self._seed}/{pairing}{pair}/{attempt}")  # noqa: S311  # reproducible play
            state = rules.new_state()
            for action in beginning:
                state.apply_action(action)
            actions = list(beginning)
            while len(actions) < len(beginning) + plies and (legal := state.legal_actions()):
                actions.append(rng.choice(legal))
                state.apply_action(actions[-1])
            if not state.is_terminal():
                return tuple(actions)
        raise RuntimeError(f"{_ATTEMPTS} random openings of {plies} plies all ended the game (seed {self._seed})")


@cache
def shipped_openings() -> tuple[str, ...]:
    """The shipped set: moves in USI, separated by spaces."""
    return tuple(SHIPPED.read_text(encoding="ascii").splitlines())


@cache
def _shuffled(seed: int, pairing: str) -> tuple[str, ...]:
    lines = list(shipped_openings())
    random.Random(f"openings/{seed}/{pairing}").shuffle(lines)  # noqa: S311  # reproducible play, no secret
    return tuple(lines)
