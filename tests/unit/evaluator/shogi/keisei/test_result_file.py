"""Keisei's EvaluationResult, read and written."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hantei_api.metrics import Metric
from hantei_api.provenance import Provenance
from hantei_api.reasons import Reason
from hantei_api.result import EvaluationResult, Timings
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.publish import write_result
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry
from hantei_evaluator.suites.shogi.keisei.result_export import keisei_result
from hantei_evaluator.suites.shogi.keisei.result_file import read_result, read_samples

FIXTURE = Path(__file__).parents[4] / "fixtures" / "keisei" / "evaluation_result.json"


def sample(number: int, outcome: str, *, colour: str = "black", plies: int = 100, **more: Any) -> dict[str, Any]:
    score = {"win": 1.0, "draw": 0.5, "loss": 0.0}[outcome]
    return {
        "sampleId": f"pair-{number:04d}-{colour}",
        "pair": f"pair-{number:04d}",
        "colour": colour,
        "outcome": outcome,
        "score": score,
        "termination": "checkmate",
        "plies": plies,
        "opening": ["7g7f"],
        "moves": ["7g7f", "3c3d"],
        **more,
    }


def output(directory: Path, samples: list[dict[str, Any]], **changed: Any) -> Path:
    result = EvaluationResult(
        namespace="team",
        run="spring-20000",
        attempt=1,
        suite="shogi",
        training_step=20000,
        reason=Reason.COMPLETED,
        complete=True,
        metrics=[Metric(name="score", value=0.5, stderr=0.1, n=4)],
        provenance=Provenance(seed=7, device="cpu", checkpoint_sha256="0" * 64, versions={"hantei": "0.2.0"}),
        timings=Timings(evaluate_seconds=8.0),
        started_at=datetime(2026, 11, 24, 5, 0, tzinfo=UTC),
        finished_at=datetime(2026, 11, 24, 5, 1, tzinfo=UTC),
    ).model_copy(update=changed)
    write_result(directory, result)
    (directory / "samples.jsonl").write_text("".join(json.dumps(each) + "\n" for each in samples))
    return directory


FOUR = [
    sample(0, "win", plies=80),
    sample(0, "loss", colour="white", plies=120),
    sample(1, "draw", plies=500),
    sample(1, "win", colour="white", plies=100),
]


def test_an_evaluation_has_keiseis_keys(tmp_path: Path) -> None:
    body = keisei_result(output(tmp_path, FOUR)).model_dump(mode="json")
    keisei = json.loads(FIXTURE.read_text())
    assert body.keys() == keisei.keys()
    assert body["context"].keys() == keisei["context"].keys()
    assert body["games"][0].keys() == keisei["games"][0].keys()
    assert body["games"][0]["agent_info"].keys() == keisei["games"][0]["agent_info"].keys()
    assert body["games"][0]["opponent_info"].keys() == keisei["games"][0]["opponent_info"].keys()
    assert body["summary_stats"].keys() == keisei["summary_stats"].keys()


def test_draws_are_no_half_points_in_keiseis_win_rate(tmp_path: Path) -> None:
    stats = keisei_result(output(tmp_path, FOUR)).summary_stats
    assert (stats.total_games, stats.agent_wins, stats.opponent_wins, stats.draws) == (4, 2, 1, 1)
    assert (stats.win_rate, stats.loss_rate, stats.draw_rate) == (0.5, 0.25, 0.25)
    assert (stats.total_moves, stats.avg_game_length, stats.avg_duration_seconds) == (800, 200.0, 2.0)


def test_winners_are_from_the_agents_view_and_colours_are_kept(tmp_path: Path) -> None:
    games = keisei_result(output(tmp_path, FOUR)).games
    assert [game.winner for game in games] == [0, 1, None, 0]
    assert [game.metadata["agent_color"] for game in games] == ["Sente", "Gote", "Sente", "Gote"]
    assert [game.opponent_info.metadata["agent_plays_second"] for game in games] == [False, True, False, True]


def test_the_analytics_are_those_of_keiseis_single_opponent(tmp_path: Path) -> None:
    assert keisei_result(output(tmp_path, FOUR)).analytics_data == {
        "first_player_win_rate": 0.5,
        "first_player_games": 2,
        "second_player_win_rate": 0.5,
        "second_player_games": 2,
        "min_game_length": 80,
        "max_game_length": 500,
        "median_game_length": 110.0,
    }


def test_of_a_round_robin_only_the_agents_games_are_keiseis(tmp_path: Path) -> None:
    samples = [
        {"sampleId": "0", "black": "agent", "white": "old", "outcome": "win", "plies": 50},
        {"sampleId": "1", "black": "older", "white": "agent", "outcome": "loss", "plies": 70},
        {"sampleId": "2", "black": "older", "white": "old", "outcome": "win", "plies": 90},
    ]
    result = keisei_result(output(tmp_path, samples))
    assert [(game.opponent_info.name, game.winner, game.agent_is_black) for game in result.games] == [
        ("old", 0, True),
        ("older", 1, False),
    ]
    assert result.analytics_data["tournament_specific_analytics"] == {
        "per_opponent_results": {
            "old": {"played": 1, "wins": 1, "losses": 0, "draws": 0, "win_rate": 1.0},
            "older": {"played": 1, "wins": 0, "losses": 1, "draws": 0, "win_rate": 0.0},
        },
        "games_between_opponents": 1,
    }


def test_a_benchmarks_positions_are_passed_or_failed(tmp_path: Path) -> None:
    def case(number: int, outcome: str, *, passed: bool) -> dict[str, Any]:
        return {
            "sampleId": f"case/{number}",
            "black": "agent",
            "white": "random",
            "case": f"mate-{number % 2}",
            "passed": passed,
            "outcome": outcome,
            "termination": None,
            "plies": 1,
        }

    samples = [case(0, "pass", passed=True), case(1, "fail", passed=False), case(2, "draw", passed=False)]
    result = keisei_result(output(tmp_path, samples))
    assert [game.winner for game in result.games] == [0, 1, None]
    assert {game.opponent_info.type for game in result.games} == {"random"}
    assert result.analytics_data["per_benchmark_case_results"] == {
        "mate-0": {"played": 2, "wins_or_passes": 1, "pass_rate": 0.5},
        "mate-1": {"played": 1, "wins_or_passes": 0, "pass_rate": 0.0},
    }
    assert result.analytics_data["overall_benchmark_pass_rate"] == pytest.approx(1 / 3)


def test_an_error_is_an_error_and_no_draw(tmp_path: Path) -> None:
    failed = {"sampleId": "pair-0002-black", "colour": "black", "error": "the engine ended"}
    result = keisei_result(output(tmp_path, [*FOUR, failed]))
    assert (result.summary_stats.total_games, result.summary_stats.draws) == (4, 1)
    assert result.errors == ["Game pair-0002-black: the engine ended"]
    assert result.games[-1].error == "the engine ended"


def test_an_evaluation_that_was_cut_short_says_so_among_the_errors(tmp_path: Path) -> None:
    changed = {"complete": False, "reason": Reason.DEADLINE_EXCEEDED, "message": "after 300 s"}
    result = keisei_result(output(tmp_path, FOUR, **changed))
    assert result.errors == ["DeadlineExceeded: after 300 s"]
    assert result.context.metadata["hantei"]["complete"] is False


def test_ratings_become_the_elo_snapshot(tmp_path: Path) -> None:
    ratings = EloRegistry(tmp_path / "x", ratings={"spring": 1510.0})
    assert keisei_result(output(tmp_path, FOUR), ratings).elo_snapshot == {"spring": 1510.0}
    assert keisei_result(tmp_path).elo_snapshot is None


def test_samples_survive_the_way_to_keisei_and_back(tmp_path: Path) -> None:
    path = tmp_path / "keisei.json"
    path.write_text(keisei_result(output(tmp_path / "out", FOUR)).model_dump_json())
    for before, after in zip(FOUR, read_samples(path), strict=True):
        assert before.items() <= after.items()


def test_keiseis_own_file_is_read_whole_and_what_is_unknown_is_kept(tmp_path: Path) -> None:
    body = json.loads(FIXTURE.read_text())
    body["games"][0]["season"] = "spring"
    path = tmp_path / "keisei.json"
    path.write_text(json.dumps(body))
    assert json.loads(read_result(path).model_dump_json()) == body


def test_the_games_that_keisei_failed_to_play_are_no_draws_in_our_samples() -> None:
    samples = list(read_samples(FIXTURE))
    assert [each.get("outcome") for each in samples] == ["win", "loss", "draw", "win", None]
    assert samples[-1]["error"].startswith("Evaluate_step error")
    assert "values" not in samples[-1]
    assert [each["colour"] for each in samples] == ["black", "black", "white", "white", "white"]
    assert samples[2]["values"] == {
        "score": 0.5,
        "win_rate": 0.0,
        "loss_rate": 0.0,
        "draw_rate": 1.0,
        "average_plies": 500.0,
    }


def test_a_torn_last_line_of_samples_is_left_out(tmp_path: Path) -> None:
    directory = output(tmp_path, FOUR)
    with (directory / "samples.jsonl").open("a") as file:
        file.write('{"sampleId": "pair-00')
    assert len(keisei_result(directory).games) == 4


def test_the_colour_is_read_in_each_strategys_way_or_left_out(tmp_path: Path) -> None:
    ways = [
        ("ladder_game_1", {"agent_color": "Gote"}, {}, "white"),
        ("tourney_1", {"agent_is_sente": True}, {}, "black"),
        ("ladder_game_2", {}, {"agent_plays_sente_in_eval_step": False}, "white"),
        ("inmem_1", {}, {"agent_plays_second": True}, "white"),
        ("bench_1", {}, {}, None),
    ]
    body = json.loads(FIXTURE.read_text())
    game = body["games"][0]
    body["games"] = [
        game
        | {"game_id": name, "metadata": metadata, "opponent_info": game["opponent_info"] | {"metadata": of_opponent}}
        for name, metadata, of_opponent, _ in ways
    ]
    path = tmp_path / "keisei.json"
    path.write_text(json.dumps(body))
    assert [each.get("colour") for each in read_samples(path)] == [colour for *_, colour in ways]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: (d / "result.json").unlink(), r"result\.json can't be read \(No such file"),
        (lambda d: (d / "samples.jsonl").unlink(), r"samples\.jsonl can't be read"),
        (lambda d: (d / "result.json").write_text("{}"), "is no result of Hantei's"),
        (lambda d: output(d, [], suite="command"), "is of the suite command"),
        (lambda d: output(d, [{"sampleId": "0", "outcome": "won"}]), "the outcome 'won', which must be one of win"),
    ],
)
def test_a_directory_without_a_shogi_evaluation_is_refused(tmp_path: Path, spoil: Any, words: str) -> None:
    spoil(output(tmp_path, FOUR))
    with pytest.raises(EvaluationError, match=words) as raised:
        keisei_result(tmp_path)
    assert raised.value.exit_code == 64


@pytest.mark.parametrize(
    ("content", "words"), [(None, "does not exist"), ("{}", "context: Field required"), ("[]", "must be an object")]
)
def test_a_file_that_is_no_result_of_keiseis_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "keisei.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EvaluationError, match=words):
        list(read_samples(path))
