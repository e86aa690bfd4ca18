"""What is played, and what came of it."""

from dataclasses import dataclass

from hantei_evaluator.suites.shogi.rules import Termination


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
