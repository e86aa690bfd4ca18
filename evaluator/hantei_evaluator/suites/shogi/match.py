"""Many games at once: all advance together, one forward pass per network and ply."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import usi
from hantei_evaluator.suites.shogi.players import Player
from hantei_evaluator.suites.shogi.rules import End, Termination

OPENING_ATTEMPTS = 100


@dataclass(frozen=True)
class Opening:
    """Where a game starts, and what is played before the players move."""

    sfen: str | None = None
    """A position that ``rules.check_sfen`` passed; None for the start position."""
    actions: tuple[int, ...] = ()
    """OpenSpiel action ids."""


@dataclass(frozen=True)
class Game:
    """Who plays whom from where."""

    sample_id: str
    """Unique in the evaluation; with the seed it fixes the game's random stream."""
    pair: str
    """Shared by the games that are played with exchanged colours from one opening."""
    black: str
    """Name of the player with the first move."""
    white: str
    opening: Opening
    most_plies: int | None = None
    """Plies after the opening at which the game is cut off as if ``max_moves`` were reached; 1 asks for one move."""


@dataclass(frozen=True)
class FinishedGame:
    """A played game."""

    game: Game
    black_score: float
    """1 when Black won, 0.5 for a draw, 0 when White won."""
    termination: Termination
    opening: list[str]
    """The opening's moves in USI; also the beginning of ``moves``."""
    moves: list[str]
    """All moves from the opening's position in USI."""


@dataclass(frozen=True)
class Settings:
    """What all games have in common."""

    seed: int
    max_moves: int
    """Plies since the game began (with those before an opening's SFEN, by its move number) that make it a draw."""


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
class _Running:
    """A running game; what a player sees of it is ``players.Turn``."""

    game: Game
    rng: random.Random
    state: rules.State
    plies: int
    max_moves: int
    actions: list[int] = field(default_factory=list)
    legal: list[int] = field(default_factory=list)

    @property
    def sfen(self) -> str:
        return str(self.state)

    @property
    def played(self) -> int:
        return len(self.actions) - len(self.game.opening.actions)

    @property
    def to_move(self) -> str:
        return self.game.black if self.state.current_player() == rules.BLACK else self.game.white

    def apply(self, action: int) -> None:
        self.state.apply_action(action)
        self.actions.append(action)
        self.plies += 1
        self.legal = self.state.legal_actions()

    def end(self) -> End | None:
        if not self.legal:
            return rules.end_of(self.state)
        cut_off = self.game.most_plies is not None and self.played >= self.game.most_plies
        return End(0, Termination.MAX_MOVES) if cut_off or self.plies >= self.max_moves else None


def _start(game: Game, settings: Settings) -> _Running:
    sfen = game.opening.sfen
    running = _Running(
        game=game,
        rng=random.Random(f"game/{settings.seed}/{game.sample_id}"),  # noqa: S311  # reproducible play, no secret
        state=rules.new_state(sfen),
        plies=0 if sfen is None else int(sfen.rsplit(" ", 1)[1]) - 1,
        max_moves=settings.max_moves,
    )
    running.legal = running.state.legal_actions()
    for action in game.opening.actions:
        running.apply(action)
    end = running.end()
    if end is not None:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"Game {game.sample_id} is over before it begins ({end.termination}, {running.plies} of "
            f"{settings.max_moves} plies): give another opening, or a greater suite.shogi.maxMoves.",
        )
    return running


def play(
    games: Iterator[Game],
    players: Mapping[str, Player],
    settings: Settings,
    *,
    keep_going: Callable[[], bool],
    slots: int,
    pace: AbstractContextManager[object],
    cpus: int,
) -> Iterator[FinishedGame]:
    """Play the games and yield each as it ends, in no fixed order.

    ``slots`` games run at the same time; a finished one makes room for the next, which is asked for only then.
    ``keep_going`` is asked before every ply of the running games; when it says no, they are dropped unfinished.
    ``pace`` is entered round every forward pass; ``cpus`` are the cores that may be used.
    """
    running = [_start(game, settings) for game in islice(games, slots)]
    while running and keep_going():
        turns_of: dict[str, list[_Running]] = {}
        for game in running:
            turns_of.setdefault(game.to_move, []).append(game)
        for name, turns in turns_of.items():
            with pace:
                chosen = players[name].choose(turns)
            for game, action in zip(turns, chosen, strict=True):
                game.apply(action)
        still_running = []
        for game in running:
            end = game.end()
            if end is None:
                still_running.append(game)
            else:
                yield _finished(game, end)
        running = still_running
        running += [_start(game, settings) for game in islice(games, slots - len(running))]


def _finished(running: _Running, end: End) -> FinishedGame:
    moves = [usi(action) for action in running.actions]
    return FinishedGame(
        game=running.game,
        black_score=(end.black + 1) / 2,
        termination=end.termination,
        opening=moves[: len(running.game.opening.actions)],
        moves=moves,
    )
