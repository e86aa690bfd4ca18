"""Keisei's EvaluationResult as JSON: {context, games, summary_stats, analytics_data, errors, elo_snapshot}."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.shared_file import read_json_object

AGENT_WON, OPPONENT_WON = 0, 1
KEPT_IN_METADATA: Final = ("pair", "case", "passed", "sfen", "opening", "moves")
"""Fields of a sample that Keisei has no place for; Keisei carries a game's metadata along."""


class _Part(BaseModel):
    """Fields of other versions of Keisei are kept."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class AgentInfo(_Part):
    """The evaluated checkpoint."""

    name: str
    checkpoint_path: str | None = None
    model_type: str | None = None
    training_timesteps: int | None = None
    version: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class OpponentInfo(_Part):
    """Who played against it; type is random, heuristic, ppo or ppo_agent."""

    name: str
    type: str
    checkpoint_path: str | None = None
    difficulty_level: float | None = None
    version: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class GameResult(_Part):
    """One game. A game that ended by an error has ``error`` in its metadata, and is no draw."""

    game_id: str
    winner: Literal[0, 1] | None
    """0 the agent, 1 the opponent, None a draw or an error."""
    moves_count: int = Field(ge=0)
    duration_seconds: float = Field(ge=0, allow_inf_nan=False)
    agent_info: AgentInfo
    opponent_info: OpponentInfo
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def error(self) -> str | None:
        """Why the game is no game; None for one that was played.

        Keisei's single_opponent writes a failed game as a draw of no moves, with the error as the termination.
        """
        if "error" in self.metadata:
            return str(self.metadata["error"])
        termination = str(self.metadata.get("termination_reason") or "")
        failed = self.winner is None and self.moves_count == 0 and "error" in termination.lower()
        return termination if failed else None

    @property
    def agent_is_black(self) -> bool | None:
        """Whether the agent had the first move; None where Keisei doesn't say. Each strategy says it differently."""
        if colour := self.metadata.get("agent_color"):
            return str(colour).lower() in {"sente", "black"}
        for said in (self.metadata, self.opponent_info.metadata):
            for name in ("agent_is_sente", "agent_plays_sente_in_eval_step"):
                if name in said:
                    return bool(said[name])
            if "agent_plays_second" in said:
                return not said["agent_plays_second"]
        # single_opponent marks only the games in which the agent had the second move.
        return True if self.game_id.startswith("single_") else None


class SummaryStats(_Part):
    """The games in numbers; draws are not half points, and errors don't count."""

    total_games: int
    agent_wins: int
    opponent_wins: int
    draws: int
    win_rate: float
    loss_rate: float
    draw_rate: float
    avg_game_length: float
    """In plies."""
    total_moves: int
    avg_duration_seconds: float

    @classmethod
    def of(cls, games: Sequence[GameResult]) -> "SummaryStats":
        """Count the games; without any that was played to its end, everything is 0 as in Keisei."""
        played = [game for game in games if game.error is None]
        total = len(played)
        wins = sum(game.winner == AGENT_WON for game in played)
        losses = sum(game.winner == OPPONENT_WON for game in played)
        moves = sum(game.moves_count for game in played)
        duration = sum(game.duration_seconds for game in played)
        divisor = max(1, total)
        return cls(
            total_games=total,
            agent_wins=wins,
            opponent_wins=losses,
            draws=total - wins - losses,
            win_rate=wins / divisor,
            loss_rate=losses / divisor,
            draw_rate=(total - wins - losses) / divisor,
            avg_game_length=moves / divisor,
            total_moves=moves,
            avg_duration_seconds=duration / divisor,
        )


class Context(_Part):
    """Which evaluation it was."""

    session_id: str
    timestamp: str
    """ISO 8601."""
    agent_info: AgentInfo
    configuration: dict[str, Any] = Field(default_factory=dict)
    """Fields of Keisei's evaluation section."""
    environment_info: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


class KeiseiResult(_Part):
    """The whole file."""

    context: Context
    games: list[GameResult] = Field(default_factory=list)
    summary_stats: SummaryStats
    analytics_data: dict[str, Any] = Field(default_factory=dict)
    errors: list[str] = Field(default_factory=list)
    elo_snapshot: dict[str, Any] | None = None


def read_result(path: Path) -> KeiseiResult:
    """Read Keisei's file.

    Raises:
        EvaluationError: there is none, or it is something else; the message names the field.

    """
    body = read_json_object(path)
    if body is None:
        raise EvaluationError(Reason.INVALID_TASK, f"{path} does not exist: name Keisei's EvaluationResult.")
    try:
        return KeiseiResult.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{path} is no EvaluationResult of Keisei's: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
        ) from error


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """Our samples of Keisei's games, in the manner of samples.jsonl.

    A game that ended by an error has ``error`` and no ``values``, so that no metric counts it.

    Raises:
        EvaluationError: the file is none of Keisei's.

    """
    return map(_sample, read_result(path).games)


def _sample(game: GameResult) -> dict[str, Any]:
    sample: dict[str, Any] = {"sampleId": game.game_id, "opponent": game.opponent_info.name}
    if game.agent_is_black is not None:
        sample["colour"] = "black" if game.agent_is_black else "white"
    if (error := game.error) is not None:
        return sample | {"error": error}
    outcome = {AGENT_WON: "win", OPPONENT_WON: "loss"}.get(-1 if game.winner is None else game.winner, "draw")
    score = {"win": 1.0, "draw": 0.5, "loss": 0.0}[outcome]
    kept = {name: game.metadata[name] for name in KEPT_IN_METADATA if name in game.metadata}
    return (
        sample
        | {
            "outcome": outcome,
            "score": score,
            "termination": game.metadata.get("termination_reason"),
            "plies": game.moves_count,
            "values": {
                "score": score,
                "win_rate": float(outcome == "win"),
                "loss_rate": float(outcome == "loss"),
                "draw_rate": float(outcome == "draw"),
                "average_plies": float(game.moves_count),
            },
        }
        | kept
    )
