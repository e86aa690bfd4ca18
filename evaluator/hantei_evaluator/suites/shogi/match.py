"""Many games at once: all advance together, one forward pass per network and ply."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Final

from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import usi
from hantei_evaluator.suites.shogi.players import Player
from hantei_evaluator.suites.shogi.rules import BLACK, End, Termination

OPENING_ATTEMPTS = 100


class Colour(StrEnum):
    """The agent's colour."""

    BLACK = "black"
    WHITE = "white"


class Result(StrEnum):
    """A game's outcome from the agent's view."""

    WIN = "win"
    DRAW = "draw"
    LOSS = "loss"


SCORES: Final = {Result.WIN: 1.0, Result.DRAW: 0.5, Result.LOSS: 0.0}


@dataclass(frozen=True)
class Pairing:
    """Which game of the match: both games of a pair start with the same opening."""

    pair: int
    colour: Colour

    @property
    def sample_id(self) -> str:
        """For example ``pair-0003-black``."""
        return f"pair-{self.pair:04d}-{self.colour}"


@dataclass(frozen=True)
class FinishedGame:
    """A played game."""

    pairing: Pairing
    opening: list[str]
    """The random first moves in USI; also the beginning of ``moves``."""
    moves: list[str]
    """All moves from the start position in USI."""
    result: Result
    termination: Termination

    @property
    def score(self) -> float:
        """1 for a win, 0.5 for a draw, 0 for a loss."""
        return SCORES[self.result]


@dataclass(frozen=True)
class Settings:
    """What games of a match have in common."""

    seed: int
    opening_plies: int
    max_moves: int


def pairings(num_games: int) -> Iterator[Pairing]:
    """The games in order: pair 0 as Black, pair 0 as White, pair 1 as Black..."""
    for number in range(num_games):
        yield Pairing(number // 2, Colour.WHITE if number % 2 else Colour.BLACK)


def opening_actions(seed: int, pair: int, plies: int) -> list[int]:
    """Random legal moves from the start, the same for the same seed and pair; never a finished game."""
    for attempt in range(OPENING_ATTEMPTS):
        rng = random.Random(f"opening/{seed}/{pair}/{attempt}")  # noqa: S311  # reproducible play, no secret
        state = rules.new_state()
        actions: list[int] = []
        while len(actions) < plies and (legal := state.legal_actions()):
            actions.append(rng.choice(legal))
            state.apply_action(actions[-1])
        if not state.is_terminal():
            return actions
    raise RuntimeError(f"{OPENING_ATTEMPTS} random openings of {plies} plies all ended the game (seed {seed})")


@dataclass
class _Game:
    """A running game; what a player sees of it is ``players.Turn``."""

    pairing: Pairing
    opening: list[int]
    rng: random.Random
    state: rules.State
    actions: list[int] = field(default_factory=list)
    legal: list[int] = field(default_factory=list)

    @property
    def sfen(self) -> str:
        return str(self.state)

    @property
    def plies(self) -> int:
        return len(self.actions)

    @property
    def agent_to_move(self) -> bool:
        return (self.plies % 2 == BLACK) == (self.pairing.colour is Colour.BLACK)

    def apply(self, action: int) -> None:
        self.state.apply_action(action)
        self.actions.append(action)
        self.legal = self.state.legal_actions()

    def end(self, max_moves: int) -> End | None:
        if not self.legal:
            return rules.end_of(self.state)
        return End(0, Termination.MAX_MOVES) if self.plies >= max_moves else None


def _start(pairing: Pairing, settings: Settings) -> _Game:
    game = _Game(
        pairing=pairing,
        opening=opening_actions(settings.seed, pairing.pair, settings.opening_plies),
        rng=random.Random(f"game/{settings.seed}/{pairing.pair}/{pairing.colour}"),  # noqa: S311  # reproducible play
        state=rules.new_state(),
    )
    game.legal = game.state.legal_actions()
    for action in game.opening:
        game.apply(action)
    return game


def play(
    games: Iterator[Pairing],
    agent: Player,
    opponent: Player,
    settings: Settings,
    *,
    keep_going: Callable[[], bool],
    slots: int,
) -> Iterator[FinishedGame]:
    """Play the games and yield each as it ends, in no fixed order.

    ``slots`` games run at the same time; a finished one makes room for the next. ``keep_going`` is asked before every
    ply of the running games; when it says no, they are dropped unfinished.
    """
    running = [_start(pairing, settings) for pairing in islice(games, slots)]
    while running and keep_going():
        for player, turns in (
            (agent, [game for game in running if game.agent_to_move]),
            (opponent, [game for game in running if not game.agent_to_move]),
        ):
            if turns:
                for game, action in zip(turns, player.choose(turns), strict=True):
                    game.apply(action)
        still_running = []
        for game in running:
            end = game.end(settings.max_moves)
            if end is None:
                still_running.append(game)
            else:
                yield _finished(game, end)
        running = still_running
        running += [_start(pairing, settings) for pairing in islice(games, slots - len(running))]


def _finished(game: _Game, end: End) -> FinishedGame:
    agent = end.black if game.pairing.colour is Colour.BLACK else -end.black
    return FinishedGame(
        pairing=game.pairing,
        opening=[usi(action) for action in game.opening],
        moves=[usi(action) for action in game.actions],
        result={1: Result.WIN, 0: Result.DRAW, -1: Result.LOSS}[agent],
        termination=end.termination,
    )
