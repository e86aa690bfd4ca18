"""Benchmark cases: positions with accepted moves, or to be played out. One JSON object a line."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from hantei_api.reasons import Reason
from hantei_api.shogi import PlayerName
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.task import describe
from hantei_evaluator.run.unreadable import unreadable
from hantei_evaluator.suites.shogi import rules
from hantei_evaluator.suites.shogi.actions import parse_usi, usi

SHIPPED: Final = Path(__file__).parent / "data" / "mates_in_one.jsonl"
"""Mates in one; ``hantei shogi cases`` made them (``generate/mates.py``)."""


@dataclass(frozen=True)
class Case:
    """One position."""

    name: str
    sfen: str
    """Normalised."""
    moves: frozenset[int] | None
    """Accepted moves by their OpenSpiel ids; None: the game is played to its end."""

    @property
    def plies(self) -> int:
        """Plies that were played before, by the position's move number."""
        return int(self.sfen.rsplit(" ", 1)[1]) - 1

    @property
    def black_to_move(self) -> bool:
        """Whose turn it is."""
        return self.sfen.split(" ")[1] == "b"


@dataclass(frozen=True)
class Cases:
    """All cases of a file."""

    cases: tuple[Case, ...]
    digest: str
    """SHA-256 of the file."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: PlayerName
    sfen: str
    moves: list[str] | None = None


def read_cases(path: Path) -> Cases:
    """Read and check a file of cases.

    Raises
    ------
    EvaluationError
        InvalidTask naming the line for a bad case; CheckpointMissing for a file that can't be read.
    """
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise EvaluationError(Reason.INVALID_TASK, f"{path}: is no UTF-8 text: {error}.") from error
    return Cases(tuple(_parse(path, lines)), hashlib.sha256(content).hexdigest())


def _parse(path: Path, lines: Iterable[str]) -> list[Case]:
    found: dict[str, Case] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            case = _case(json.loads(line))
        except ValidationError as error:
            raise EvaluationError(Reason.INVALID_TASK, f"{path} line {number}: {describe(error)}.") from error
        except (ValueError, RecursionError) as error:
            raise EvaluationError(Reason.INVALID_TASK, f"{path} line {number}: {error}.") from error
        if case.name in found:
            raise EvaluationError(
                Reason.INVALID_TASK, f"{path} line {number}: the name {case.name!r} is there already."
            )
        found[case.name] = case
    if not found:
        raise EvaluationError(
            Reason.INVALID_TASK, f'{path}: holds no case; a line is {{"name": ..., "sfen": ..., "moves": [...]}}.'
        )
    return list(found.values())


def _case(body: Any) -> Case:
    if not isinstance(body, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004  # one kind of error for a bad line
    line = _Line.model_validate(body)
    try:
        sfen = rules.check_sfen(line.sfen)
    except ValueError as error:
        raise ValueError(f"sfen: {error}") from error
    legal = set(rules.new_state(sfen).legal_actions())
    if not legal:
        raise ValueError("sfen: the game is over in this position")
    if line.moves is None:
        return Case(line.name, sfen, None)
    if not line.moves:
        raise ValueError("moves is empty: name the accepted moves, or drop it to have the game played out")
    moves = frozenset(map(parse_usi, line.moves))
    if moves - legal:
        raise ValueError(f"moves: {', '.join(sorted(usi(move) for move in moves - legal))} is not legal there")
    return Case(line.name, sfen, moves)
