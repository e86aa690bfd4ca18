"""A table at which games are played: the rules, the players that need no network, and positions for those that do."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np

from hantei_api.reasons import Reason
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import boards, rules
from hantei_evaluator.suites.shogi.actions import policy_table, usi
from hantei_evaluator.suites.shogi.games import FinishedGame, Game, Settings
from hantei_evaluator.suites.shogi.planes import encode
from hantei_evaluator.suites.shogi.players import LocalPlayer
from hantei_evaluator.suites.shogi.positions import Positions
from hantei_evaluator.suites.shogi.rules import BLACK, WHITE, End, State, Termination

PERSPECTIVES: Final = list(ActionPerspective)


@dataclass(frozen=True)
class NetworkSeat:
    """A player whose moves are computed elsewhere."""

    network: int
    """Which network, by its number."""
    perspective: ActionPerspective


Seat = LocalPlayer | NetworkSeat


@dataclass(frozen=True)
class Step:
    """What a table is to do next."""

    started: list[tuple[int, Game]] = field(default_factory=list)
    """Games for free rows."""
    chosen: list[tuple[int, int]] = field(default_factory=list)
    """For rows that wait for a network: which of the legal moves it plays."""


@dataclass(frozen=True)
class Stepped:
    """What came of it."""

    finished: list[tuple[int, FinishedGame]]
    """Their rows are free."""
    waiting: list[tuple[int, int]]
    """Rows that now wait for a network, and its number."""
    more: bool
    """Whether there are games whose next move needs no network: step again."""


@dataclass
class _Running:
    """A running game; what a player sees of it is ``players.Turn``."""

    row: int
    game: Game
    rng: random.Random
    state: State
    colour: int
    """To move."""
    plies: int
    """Since the game began; by the move number of an opening's SFEN."""
    last_ply: int
    legal: list[int]
    actions: list[int] = field(default_factory=list)

    @property
    def sfen(self) -> str:
        return str(self.state)

    @property
    def to_move(self) -> str:
        return self.game.black if self.colour == BLACK else self.game.white

    def apply(self, action: int) -> None:
        self.state.apply_action(action)
        self.actions.append(action)
        self.plies += 1
        self.colour = WHITE - self.colour
        self.legal = self.state.legal_actions()


class Table:
    """Games in rows of ``positions``; a game's course depends on the seed, its sample_id and its players alone."""

    def __init__(self, positions: Positions, seats: Mapping[str, Seat], settings: Settings) -> None:
        self._positions = positions
        self._seats: Final = seats
        self._settings = settings
        self._running: dict[int, _Running] = {}
        self._local: list[_Running] = []
        self._policy = np.stack([policy_table(perspective).astype(np.int16) for perspective in PERSPECTIVES])

    def step(self, step: Step) -> Stepped:
        """Play the networks' moves, start games, and let each player without a network make one move.

        Raises
        ------
        EvaluationError
            InvalidTask when a game is over before it begins.
        """
        finished: list[tuple[int, FinishedGame]] = []
        moved = self._local
        for row, place in step.chosen:
            running = self._running[row]
            running.apply(running.legal[place])
            moved.append(running)
        going_on = self._without_ended(moved, finished)
        going_on += [self._start(row, game) for row, game in step.started]
        waiting, local = self._by_seat(going_on)
        for player, turns in local:
            for running, action in zip(turns, player.choose(turns), strict=True):
                running.apply(action)
        moved = [running for _, turns in local for running in turns]
        newly_waiting, local = self._by_seat(self._without_ended(moved, finished))
        waiting += newly_waiting
        self._local = [running for _, turns in local for running in turns]
        if waiting:
            self._show([running for running, _ in waiting], [seat for _, seat in waiting])
        return Stepped(
            finished=finished,
            waiting=[(running.row, seat.network) for running, seat in waiting],
            more=bool(self._local),
        )

    def _start(self, row: int, game: Game) -> _Running:
        sfen = game.opening.sfen
        state = rules.new_state(sfen)
        running = _Running(
            row=row,
            game=game,
            rng=random.Random(f"game/{self._settings.seed}/{game.sample_id}"),  # noqa: S311  # reproducible, no secret
            state=state,
            colour=WHITE if sfen is not None and sfen.split(" ", 2)[1] == "w" else BLACK,
            plies=0 if sfen is None else int(sfen.rsplit(" ", 1)[1]) - 1,
            last_ply=self._settings.max_moves,
            legal=state.legal_actions(),
        )
        for action in game.opening.actions:
            running.apply(action)
        if game.most_plies is not None:
            running.last_ply = min(running.last_ply, running.plies + game.most_plies)
        end = self._end(running)
        if end is not None:
            raise EvaluationError(
                Reason.INVALID_TASK,
                f"Game {game.sample_id} is over before it begins ({end.termination}, {running.plies} of "
                f"{self._settings.max_moves} plies): give another opening, or a greater suite.shogi.maxMoves.",
            )
        self._running[row] = running
        return running

    def _end(self, running: _Running) -> End | None:
        if not running.legal:
            return rules.end_of(running.state)
        return End(0, Termination.MAX_MOVES) if running.plies >= running.last_ply else None

    def _without_ended(self, moved: Iterable[_Running], finished: list[tuple[int, FinishedGame]]) -> list[_Running]:
        going_on = []
        for running in moved:
            end = self._end(running)
            if end is None:
                going_on.append(running)
            else:
                del self._running[running.row]
                finished.append((running.row, _finished(running, end)))
        return going_on

    def _by_seat(
        self, games: Iterable[_Running]
    ) -> tuple[list[tuple[_Running, NetworkSeat]], list[tuple[LocalPlayer, list[_Running]]]]:
        """Those that wait for a network, and those of each other player."""
        waiting: list[tuple[_Running, NetworkSeat]] = []
        local: dict[str, tuple[LocalPlayer, list[_Running]]] = {}
        for running in games:
            seat = self._seats[running.to_move]
            if isinstance(seat, NetworkSeat):
                waiting.append((running, seat))
            else:
                local.setdefault(running.to_move, (seat, []))[1].append(running)
        return waiting, list(local.values())

    def _show(self, games: Sequence[_Running], seats: Sequence[NetworkSeat]) -> None:
        """Put the positions into their rows."""
        rows = [running.row for running in games]
        positions = boards.parse([running.sfen for running in games])
        encoded = encode(positions, [running.plies for running in games], self._settings.max_moves)
        self._positions.pieces[rows] = encoded.pieces
        self._positions.constants[rows] = encoded.constants
        legal = [running.legal for running in games]
        count = np.fromiter(map(len, legal), dtype=np.int16, count=len(legal))
        self._positions.count[rows] = count
        actions = np.fromiter(chain.from_iterable(legal), dtype=np.int16, count=int(count.sum(dtype=np.int64)))
        perspective = np.array([PERSPECTIVES.index(seat.perspective) for seat in seats])
        game = np.repeat(np.arange(len(rows)), count)
        place = np.arange(len(actions)) - (np.cumsum(count, dtype=np.intp) - count)[game]
        indices = self._policy[perspective[game], positions.white.astype(np.intp)[game], actions]
        self._positions.legal[np.array(rows)[game], place] = indices


def _finished(running: _Running, end: End) -> FinishedGame:
    moves = [usi(action) for action in running.actions]
    return FinishedGame(
        game=running.game,
        black_score=(end.black + 1) / 2,
        termination=end.termination,
        opening=moves[: len(running.game.opening.actions)],
        moves=moves,
    )
