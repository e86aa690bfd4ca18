"""What every strategy is: a way to arrange games, and what it makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hantei_api.metrics import Metric
from hantei_evaluator.suites.shogi.arena import Arena, Played


@dataclass(frozen=True)
class Evaluated:
    """What a strategy hands back."""

    metrics: list[Metric]
    """The most important first."""
    rated: Sequence[Sequence[Played]] = ()
    """Matches in the order in which they move Keisei's ratings; each is all games of two players."""
    complete: bool = True


class Strategy(Protocol):
    """One way to arrange games. Made when the suite loads, so that what can't be played is refused before anything is."""

    def fields(self, game: Played) -> dict[str, Any]:
        """Fields of the game's sample beside who played what; see ``arena.Fields``."""

    def evaluate(self, arena: Arena) -> Evaluated:
        """Have the games played, or those that end before the stop."""
