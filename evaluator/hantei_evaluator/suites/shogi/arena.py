"""Where a strategy has its games played: what is done already counts, what is new is recorded, and a stop ends it."""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from hantei_api.shogi import AGENT_NAME, ShogiSuite
from hantei_evaluator.suites.protocol import Context
from hantei_evaluator.suites.shogi.games import FinishedGame, Game, Settings
from hantei_evaluator.suites.shogi.match import play
from hantei_evaluator.suites.shogi.openings import Openings
from hantei_evaluator.suites.shogi.players import Player

SLOTS: Final = 256
"""Games that are played at the same time: the most positions in a forward pass."""

Fields = Callable[["Played"], dict[str, Any]]
"""A strategy's own fields of a game's sample, ``values`` among them: the game's number for each metric that is a mean."""


@dataclass(frozen=True)
class Played:
    """A game that counts, whether it was played now or taken over."""

    sample_id: str
    pair: str
    black: str
    white: str
    black_score: float
    """1 when Black won, 0.5 for a draw, 0 when White won; NaN when it was cut off and has no result."""
    plies: int
    first_move: str
    """In USI, the first after the opening."""

    def score_of(self, player: str) -> float:
        """The score of one of its two players."""
        return self.black_score if player == self.black else 1 - self.black_score

    def opponent_of(self, player: str) -> str:
        """Whom the player met."""
        return self.white if player == self.black else self.black

    @property
    def agents(self) -> bool:
        """Whether the evaluated checkpoint played in it."""
        return AGENT_NAME in (self.black, self.white)


class Arena:
    """The players, the openings and the table for the games of one evaluation."""

    def __init__(
        self, context: Context, spec: ShogiSuite, players: Mapping[str, Player], openings: Openings, fields: Fields
    ) -> None:
        self.spec = spec
        self._players = players
        self.openings = openings
        self.total: int | None = None
        """Samples that are planned, as far as that is known."""
        self.stopped = False
        """Whether a stop left games unplayed."""
        self._context = context
        self._fields = fields
        self._counted = 0

    def play(self, games: Iterator[Game]) -> Iterator[Played]:
        """Play the games and yield each as it ends, recorded; those that are done already are only yielded."""
        for played, sample in self._play(games):
            self._count(sample)
            yield played

    def play_in_order(self, games: Iterator[Game]) -> Generator[list[Played], None, None]:
        """Yield each pair once it and all pairs before it have ended; a game is recorded when its pair's turn comes.

        For who may stop after any pair: neither how fast games ended nor an interruption decides which of them count. What
        is still being played, or waits for an earlier pair, when the caller stops is dropped.
        """
        ahead: deque[Game] = deque()
        ended: dict[str, tuple[Played, dict[str, Any] | None]] = {}

        def noted() -> Iterator[Game]:
            for game in games:
                ahead.append(game)
                yield game

        with closing(self._play(noted())) as playing:
            for played, sample in playing:
                ended[played.sample_id] = played, sample
                while len(ahead) > 1 and all(game.sample_id in ended for game in (ahead[0], ahead[1])):
                    pair = [ended.pop(ahead.popleft().sample_id) for _ in range(2)]
                    for _, record in pair:
                        self._count(record)
                    yield [game for game, _ in pair]

    def _keep_going(self) -> bool:
        # Games can end minutes apart: every ply that asks is a sign of life.
        self._context.recorder.progress(self._counted, self.total)
        if self._context.stop.requested():
            self.stopped = True
        return not self.stopped

    def _count(self, sample: Mapping[str, Any] | None) -> None:
        self._counted += 1
        if sample is not None:
            self._context.recorder.sample(sample)
        self._context.recorder.progress(self._counted, self.total)

    def _play(self, games: Iterator[Game]) -> Generator[tuple[Played, dict[str, Any] | None], None, None]:
        taken: deque[Played] = deque()
        first: list[Game] = []
        for game in games:
            if game.sample_id not in self._context.done:
                first.append(game)
                break
            yield _taken(self._context.done[game.sample_id]), None

        def new() -> Iterator[Game]:
            yield from first
            for game in games:
                if game.sample_id in self._context.done:
                    taken.append(_taken(self._context.done[game.sample_id]))
                else:
                    yield game

        finished = play(
            new(),
            self._players,
            Settings(seed=self._context.task.seed, max_moves=self.spec.max_moves),
            keep_going=self._keep_going,
            slots=SLOTS,
            pace=self._context.pace,
            cpus=self._context.cpus,
        )
        for end in finished:
            played = _played(end)
            yield played, _sample(end, played, self._fields(played))
            while taken:
                yield taken.popleft(), None
        while taken:
            yield taken.popleft(), None


def _played(game: FinishedGame) -> Played:
    return Played(
        sample_id=game.game.sample_id,
        pair=game.game.pair,
        black=game.game.black,
        white=game.game.white,
        black_score=game.black_score if game.game.most_plies is None else math.nan,
        plies=len(game.moves),
        first_move=game.moves[len(game.opening)],
    )


def _taken(sample: Mapping[str, Any]) -> Played:
    return Played(
        sample_id=sample["sampleId"],
        pair=sample["pair"],
        black=sample["black"],
        white=sample["white"],
        black_score=math.nan if sample["blackScore"] is None else sample["blackScore"],
        plies=sample["plies"],
        first_move=sample["moves"][len(sample["opening"])],
    )


def _sample(game: FinishedGame, played: Played, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sampleId": played.sample_id,
        "pair": played.pair,
        "black": played.black,
        "white": played.white,
        "blackScore": None if math.isnan(played.black_score) else played.black_score,
        "termination": game.termination.value,
        "plies": played.plies,
        "sfen": game.game.opening.sfen,
        "opening": game.opening,
        "moves": game.moves,
        **fields,
    }


def in_order(games: Sequence[Played]) -> list[Played]:
    """By sample: games end in an order that depends on how they ran, and sums of floats shall not."""
    return sorted(games, key=lambda game: game.sample_id)
