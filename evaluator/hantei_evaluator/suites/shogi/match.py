"""Many games at once: all advance together, one forward pass per network and ply."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from math import ceil
from typing import Final

from hantei_evaluator.suites.shogi.forward import Forward, Launched, forward_of
from hantei_evaluator.suites.shogi.games import FinishedGame, Game, Opening, Settings
from hantei_evaluator.suites.shogi.players import NetworkPlayer, Player
from hantei_evaluator.suites.shogi.positions import Positions
from hantei_evaluator.suites.shogi.table import NetworkSeat, Seat, Step, Stepped
from hantei_evaluator.suites.shogi.tables import TableHandle, open_tables, wait_for_any, workers_for

__all__ = ["FinishedGame", "Game", "Opening", "Settings", "play"]

_POLL_SECONDS: Final = 0.0005
"""How long a GPU's pass is left unnoticed while processes play the rules."""
_ASK_SECONDS: Final = 0.2


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

    ``slots`` games run at the same time; a finished one makes room for the next, which is asked for only then. A game
    depends on the seed, its sample_id, its opening and its players alone: not on its slot, nor on what runs beside it.

    ``keep_going`` is asked before every forward pass, and several times a second; when it says no, the running games are
    dropped. ``pace`` is entered round every forward pass. ``cpus`` cores are used: from two on, processes beside this one
    play the rules.

    Raises
    ------
    EvaluationError
        InvalidTask when a game is over before it begins; EvaluatorError when a network's logits are NaN or infinite, or a
        process that plays the rules is lost. What a player raises passes unchanged: an error is no draw.
    """
    networks: dict[tuple[int, str], NetworkPlayer] = {}
    seats: dict[str, Seat] = {}
    for name, player in players.items():
        if isinstance(player, NetworkPlayer):
            key = (id(player.network), player.precision.value)
            networks.setdefault(key, player)
            seats[name] = NetworkSeat(list(networks).index(key), player.perspective)
        else:
            seats[name] = player
    with ExitStack() as stack:
        forwards = [
            stack.enter_context(forward_of(player.network, player.precision, cpus)) for player in networks.values()
        ]
        workers = workers_for(cpus, gpu=any(forward.in_flight > 1 for forward in forwards))
        positions, tables = stack.enter_context(open_tables(seats, settings, rows=slots, workers=workers))
        yield from _Match(games, forwards, positions, tables, keep_going, pace).play()


class _Match:
    """What is where: games at the tables, rows that wait for a network, passes in flight, choices on their way back."""

    def __init__(
        self,
        games: Iterator[Game],
        forwards: list[Forward],
        positions: Positions,
        tables: list[TableHandle],
        keep_going: Callable[[], bool],
        pace: AbstractContextManager[object],
    ) -> None:
        self._games: Iterator[Game] | None = games
        self._forwards = forwards
        self._positions = positions
        self._tables = tables
        self._keep_going = keep_going
        self._pace = pace
        self._table_of = {row: index for index, table in enumerate(tables) for row in table.rows}
        self._free = deque(sorted(self._table_of))
        self._next = [Step() for _ in tables]
        self._more = [False for _ in tables]
        self._waiting: list[deque[int]] = [deque() for _ in forwards]
        self._flights: deque[tuple[list[int], Launched]] = deque()
        self._running = 0

    def play(self) -> Iterator[FinishedGame]:
        """Play until no game is left, or until ``keep_going`` says no."""
        while True:
            self._fill()
            self._send()
            if self._running == 0:
                return
            if not self._keep_going():
                return
            self._launch()
            if self._flights and (self._flights[0][1].done() or not any(table.busy for table in self._tables)):
                self._land()
                continue
            wait_for_any(self._tables, _POLL_SECONDS if self._flights else _ASK_SECONDS)
            for index, table in enumerate(self._tables):
                if table.ready():
                    yield from self._take(index, table.receive())

    def _fill(self) -> None:
        """Start games in all free rows."""
        while self._free and self._games is not None:
            game = next(self._games, None)
            if game is None:
                self._games = None
            else:
                row = self._free.popleft()
                self._next[self._table_of[row]].started.append((row, game))
                self._running += 1

    def _send(self) -> None:
        """Have each idle table do what there is for it."""
        for index, table in enumerate(self._tables):
            step = self._next[index]
            if not table.busy and (step.started or step.chosen or self._more[index]):
                self._next[index] = Step()
                table.send(step)

    def _take(self, index: int, stepped: Stepped) -> Iterator[FinishedGame]:
        self._more[index] = stepped.more
        for row, network in stepped.waiting:
            self._waiting[network].append(row)
        for row, game in stepped.finished:
            self._running -= 1
            self._free.append(row)
            yield game

    def _launch(self) -> None:
        """Start a pass over those who have waited for the fullest batch, when it is full enough."""
        network = max(range(len(self._forwards)), key=lambda each: len(self._waiting[each]), default=None)
        if network is None or not self._waiting[network]:
            return
        forward, waiting = self._forwards[network], self._waiting[network]
        at_rules = any(table.busy for table in self._tables)
        if len(self._flights) >= forward.in_flight or (
            len(waiting) < self._enough(forward) and (at_rules or self._flights)
        ):
            return
        rows = [waiting.popleft() for _ in range(min(len(waiting), forward.capacity))]
        with self._pace:
            self._flights.append((rows, forward.launch(self._positions, rows)))

    def _enough(self, forward: Forward) -> int:
        """Positions that are worth a pass: an even share of the games, where half of them are elsewhere meanwhile."""
        share = ceil(self._running / len(self._forwards) / (2 if forward.overlaps else 1))
        return min(forward.capacity, ceil(share / forward.unit) * forward.unit)

    def _land(self) -> None:
        rows, launched = self._flights.popleft()
        for row, place in zip(rows, launched.places(), strict=True):
            self._next[self._table_of[row]].chosen.append((row, place))
