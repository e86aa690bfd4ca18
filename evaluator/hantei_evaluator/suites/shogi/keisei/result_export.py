"""A shogi evaluation's result.json and samples.jsonl as Keisei's EvaluationResult."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult
from hantei_api.shogi import AGENT_NAME
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.publish import RESULT_FILE
from hantei_evaluator.run.resume import read_lines
from hantei_evaluator.run.samples import SAMPLES_FILE
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry
from hantei_evaluator.suites.shogi.keisei.opponents import MOVE_RULES
from hantei_evaluator.suites.shogi.keisei.result_file import (
    AGENT_WON,
    KEPT_IN_METADATA,
    OPPONENT_WON,
    AgentInfo,
    Context,
    GameResult,
    KeiseiResult,
    OpponentInfo,
    SummaryStats,
)

ONLY_OPPONENT = "opponent"
"""Where a sample doesn't name it."""
_WINNERS = {"win": AGENT_WON, "pass": AGENT_WON, "loss": OPPONENT_WON, "fail": OPPONENT_WON, "draw": None}
"""By the sample's outcome; a benchmark's position that is passed is a game won, as in Keisei."""


def keisei_result(directory: Path, ratings: EloRegistry | None = None) -> KeiseiResult:
    """Convert the output directory of a shogi evaluation; ``ratings`` become the Elo snapshot.

    Games between opponents, as a round robin has them, are left out: Keisei's file knows only games of the agent. Games
    advance side by side here, so none has a duration of its own: each gets the evaluation's wall time over their number.

    Raises:
        EvaluationError: the directory holds no shogi evaluation with samples.

    """
    result, samples = _read(directory)
    ours = [sample for sample in samples if _opponent(sample) is not None]
    seconds = result.timings.evaluate_seconds / max(1, len(samples))
    agent = AgentInfo(
        name=result.run,
        training_timesteps=result.training_step,
        metadata={"checkpoint_sha256": result.provenance.checkpoint_sha256},
    )
    games = [_game(sample, agent, seconds) for sample in ours]
    return KeiseiResult(
        context=_context(result, agent, games),
        games=games,
        summary_stats=SummaryStats.of(games),
        analytics_data=_analytics(games, len(samples) - len(ours)),
        errors=[f"Game {game.game_id}: {game.error}" for game in games if game.error is not None]
        + ([] if result.complete else [f"{result.reason}: {result.message}"]),
        elo_snapshot=ratings.ratings if ratings is not None else None,
    )


def _read(directory: Path) -> tuple[EvaluationResult, list[Mapping[str, Any]]]:
    path = directory / RESULT_FILE
    try:
        result = EvaluationResult.model_validate_json(path.read_bytes())
        lines = read_lines(directory / SAMPLES_FILE)
    except OSError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{error.filename} can't be read ({error.strerror}): name the directory of an evaluation that kept its "
            f"output, with {RESULT_FILE} and {SAMPLES_FILE} in it.",
        ) from error
    except ValidationError as error:
        raise EvaluationError(
            Reason.INVALID_TASK, f"{path} is no result of Hantei's: {error.errors()[0]['msg']}."
        ) from error
    if result.suite != "shogi":
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"{path} is of the suite {result.suite}; Keisei's results are of shogi: name a shogi evaluation.",
        )
    return result, [json.loads(line) for line in lines.values()]


def _opponent(sample: Mapping[str, Any]) -> str | None:
    """The opponent's name; None for a game that the agent did not play."""
    players = [sample[colour] for colour in ("black", "white") if colour in sample]
    if players and AGENT_NAME not in players:
        return None
    others = [name for name in players if name != AGENT_NAME]
    return str(sample.get("opponent") or (others[0] if others else ONLY_OPPONENT))


def _game(sample: Mapping[str, Any], agent: AgentInfo, seconds: float) -> GameResult:
    black = sample["colour"] == "black" if "colour" in sample else sample.get("black") == AGENT_NAME
    opponent = _opponent(sample) or ONLY_OPPONENT
    metadata = {
        "agent_color": "Sente" if black else "Gote",
        "termination_reason": sample.get("termination"),
        **{name: sample[name] for name in (*KEPT_IN_METADATA, "error") if name in sample},
    }
    return GameResult(
        game_id=sample["sampleId"],
        winner=_winner(sample),
        moves_count=sample.get("plies", 0),
        duration_seconds=seconds,
        agent_info=agent,
        opponent_info=OpponentInfo(
            name=opponent,
            type=opponent if opponent in MOVE_RULES else "unknown",
            metadata={"agent_plays_second": not black},
        ),
        metadata=metadata,
    )


def _winner(sample: Mapping[str, Any]) -> Any:
    if "error" in sample:
        return None
    try:
        return _WINNERS[sample["outcome"]]
    except KeyError as error:
        raise EvaluationError(
            Reason.INVALID_TASK,
            f"Sample {sample['sampleId']} has the outcome {sample.get('outcome')!r}, which must be one of {', '.join(_WINNERS)}.",
        ) from error


def _context(result: EvaluationResult, agent: AgentInfo, games: Sequence[GameResult]) -> Context:
    return Context(
        session_id=f"{result.namespace}-{result.run}-{result.attempt}",
        timestamp=result.started_at.isoformat(),
        agent_info=agent,
        configuration={"num_games": max(1, len(games)), "random_seed": result.provenance.seed},
        environment_info={"device": result.provenance.device, **result.provenance.versions},
        metadata={
            "hantei": {
                "reason": result.reason.value,
                "complete": result.complete,
                "verdict": result.verdict.value,
                "metrics": [metric.to_body() for metric in result.metrics],
            }
        },
    )


def _analytics(games: Sequence[GameResult], between_opponents: int) -> dict[str, Any]:
    played = [game for game in games if game.error is None]
    found: dict[str, Any] = {}
    for name, black in (("first_player", True), ("second_player", False)):
        if side := [game for game in played if game.agent_is_black is black]:
            found[f"{name}_win_rate"] = sum(game.winner == AGENT_WON for game in side) / len(side)
            found[f"{name}_games"] = len(side)
    if lengths := [game.moves_count for game in played]:
        found |= {
            "min_game_length": min(lengths),
            "max_game_length": max(lengths),
            "median_game_length": statistics.median(lengths),
        }
    if cases := [game for game in played if "passed" in game.metadata]:
        found |= _benchmark(cases)
    opponents = list(dict.fromkeys(game.opponent_info.name for game in played))
    if len(opponents) > 1 or between_opponents:
        found["tournament_specific_analytics"] = {
            "per_opponent_results": {
                name: _standing([game for game in played if game.opponent_info.name == name]) for name in opponents
            },
            "games_between_opponents": between_opponents,
        }
    return found


def _benchmark(games: Sequence[GameResult]) -> dict[str, Any]:
    results = {}
    for name in dict.fromkeys(str(game.metadata.get("case")) for game in games):
        passed = [bool(game.metadata["passed"]) for game in games if str(game.metadata.get("case")) == name]
        results[name] = {"played": len(passed), "wins_or_passes": sum(passed), "pass_rate": sum(passed) / len(passed)}
    overall = sum(bool(game.metadata["passed"]) for game in games) / len(games)
    return {"per_benchmark_case_results": results, "overall_benchmark_pass_rate": overall}


def _standing(games: Sequence[GameResult]) -> dict[str, Any]:
    stats = SummaryStats.of(games)
    return {
        "played": stats.total_games,
        "wins": stats.agent_wins,
        "losses": stats.opponent_wins,
        "draws": stats.draws,
        "win_rate": stats.win_rate,
    }
