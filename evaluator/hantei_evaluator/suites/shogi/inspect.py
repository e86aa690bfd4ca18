"""What a checkpoint sees and says about given positions: ``hantei shogi inspect``.

For comparing this implementation with the program that trained the checkpoint, position by position.
"""

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import torch
from numpy.typing import NDArray

from hantei_api.reasons import Reason
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import boards, rules
from hantei_evaluator.suites.shogi.actions import policy_table
from hantei_evaluator.suites.shogi.network import ResTower, load_network
from hantei_evaluator.suites.shogi.planes import core46, encode

BATCH: Final = 256
DEFAULT_MAX_MOVES: Final = 500


@dataclass(frozen=True)
class Position:
    """One line of the positions file."""

    given_sfen: str
    sfen: str
    """The same, normalised."""
    move_count: int
    max_moves: int


def add_inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``hantei shogi inspect``."""
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="a Keisei checkpoint")
    parser.add_argument(
        "--positions",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON Lines, plain or gzipped: sfen, and optionally move_count (default: from the sfen) and "
        f"max_moves_per_game (default {DEFAULT_MAX_MOVES})",
    )
    parser.add_argument(
        "--action-perspective",
        type=ActionPerspective,
        choices=list(ActionPerspective),
        default=ActionPerspective.ABSOLUTE,
        help="whether White's policy indices are of the board as it stands (absolute, the default) or turned round",
    )


def run_inspect(args: argparse.Namespace) -> int:
    """Print one JSON line for each position; return the exit code (sysexits.h)."""
    try:
        inspect(args.checkpoint, args.positions, sys.stdout, perspective=args.action_perspective)
    except EvaluationError as error:
        sys.stdout.flush()
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def inspect(
    checkpoint: Path,
    positions: Path,
    out: TextIO,
    *,
    perspective: ActionPerspective = ActionPerspective.ABSOLUTE,
) -> None:
    """Write one JSON line for each position: legal moves, planes, value, and the logits of the legal moves.

    Moves are Keisei policy indices in ascending order; ``argmax_policy_index`` is null where no move is legal.

    Raises
    ------
    EvaluationError
        What ``load_network`` raises, InvalidTask for a bad line, CheckpointMissing for a missing positions file.
    """
    network = load_network(checkpoint, torch.device("cpu"))
    table = policy_table(perspective)
    lines = _read(positions)
    while batch := list(islice(lines, BATCH)):
        out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in _describe(batch, network, table))


def _read(path: Path) -> Iterator[Position]:
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8") if zipped else path.open(encoding="utf-8") as file:
            yield from _parse(path, file)
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise EvaluationError(Reason.INVALID_TASK, f"{path}: not JSON Lines, plain or gzipped: {error}.") from error
    except OSError as error:
        raise EvaluationError(
            Reason.CHECKPOINT_MISSING,
            f"{path}: can't read the positions: {error.strerror or error}. Check --positions.",
        ) from error


def _parse(path: Path, lines: Iterable[str]) -> Iterator[Position]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _position(json.loads(line))
        except RecursionError as error:
            raise EvaluationError(Reason.INVALID_TASK, f"{path} line {number}: nested too deeply.") from error
        except ValueError as error:
            raise EvaluationError(Reason.INVALID_TASK, f"{path} line {number}: {error}.") from error


def _position(row: Any) -> Position:
    """One line's position; ValueError names the field that is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"is a JSON {type(row).__name__}, not an object with the field sfen")  # noqa: TRY004  # one kind of error for a bad line
    given = row.get("sfen")
    if not isinstance(given, str):
        raise ValueError(f"field sfen is {given!r}; a position such as {rules.START_SFEN!r}")  # noqa: TRY004  # same
    try:
        sfen = rules.check_sfen(given)
    except ValueError as error:
        raise ValueError(f"field sfen: {error}") from error
    return Position(
        given_sfen=given,
        sfen=sfen,
        move_count=_count(row, "move_count", default=int(sfen.rsplit(" ", 1)[1]) - 1, minimum=0),
        max_moves=_count(row, "max_moves_per_game", default=DEFAULT_MAX_MOVES, minimum=1),
    )


def _count(row: dict[str, Any], field: str, *, default: int, minimum: int) -> int:
    value = row.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= 1_000_000:
        raise ValueError(f"field {field} is {value!r}; a whole number from {minimum} to 1000000")
    return value


def _describe(batch: list[Position], network: ResTower, table: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    positions = boards.parse([position.sfen for position in batch])
    encoded = encode(positions, [position.move_count for position in batch], [position.max_moves for position in batch])
    with torch.inference_mode():
        seen = core46(torch.from_numpy(encoded.pieces), torch.from_numpy(encoded.constants))
        logits, values = (tensor.numpy() for tensor in network(seen))
    planes = seen.numpy()
    for index, position in enumerate(batch):
        actions = rules.legal_actions(position.sfen)
        legal = np.sort(table[int(positions.white[index]), actions]) if actions else np.empty(0, dtype=np.int64)
        legal_logits = logits[index, legal]
        yield {
            "sfen": position.given_sfen,
            "legal_policy_index": legal.tolist(),
            "core46_nonzero": _nonzero(planes[index]),
            "value": round(float(values[index]), 6),
            "argmax_policy_index": int(legal[legal_logits.argmax()]) if len(legal) else None,
            "legal_logits": [round(float(logit), 6) for logit in legal_logits],
        }


def _nonzero(planes: NDArray[np.float32]) -> list[list[int | float]]:
    """[plane, row, column, value] in ascending order, values to 7 decimals."""
    return [
        [int(plane), int(row), int(column), round(float(planes[plane, row, column]), 7)]
        for plane, row, column in np.argwhere(planes)
    ]
