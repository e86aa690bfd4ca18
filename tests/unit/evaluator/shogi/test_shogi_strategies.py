import json
from pathlib import Path
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from support.shogi import OPPONENTS, by_id, context, evaluate, values

PAIRINGS = {"chance/", "greedy/", "old/", "chance:greedy/", "chance:old/", "greedy:old/"}
LADDER = [
    {"name": "far", "type": "random", "rating": 900},
    {"name": "middle", "type": "heuristic", "rating": 1550},
    {"name": "low", "type": "random", "rating": 1300},
    {"name": "new", "type": "heuristic"},
]


def test_a_tournament_plays_everybody_against_everybody_from_the_same_openings_with_both_colours(
    keisei: Path, recorded_run: Any
) -> None:
    record = recorded_run()
    outcome = evaluate(context(keisei, record, strategy="tournament", opponents=OPPONENTS, numGames=4))
    games = by_id(record.samples)
    assert outcome.complete
    assert {name.partition("pair-")[0] for name in games} == PAIRINGS
    assert len(games) == 4 * len(PAIRINGS)
    for name, game in games.items():
        other = games[name.replace("black", "white") if name.endswith("black") else name.replace("white", "black")]
        assert (game["black"], game["white"]) == (other["white"], other["black"])
        assert game["opening"] == other["opening"]
    assert record.progress_reports[-1] == (24, 24)


def test_a_tournament_rates_everybody_with_errors(keisei: Path, recorded_run: Any, caplog: Any) -> None:
    caplog.set_level("INFO")
    record = recorded_run()
    outcome = evaluate(context(keisei, record, strategy="tournament", opponents=OPPONENTS, numGames=2, maxMoves=60))
    found = {metric.name: metric for metric in outcome.metrics}
    assert list(found)[:4] == ["score", "win_rate", "loss_rate", "draw_rate"]
    assert found["score"].n == 6
    assert {f"rating/{name}" for name in ("agent", "chance", "greedy", "old")} <= found.keys()
    # The random player is the fixed point where no opponent's rating is known.
    assert (found["rating/chance"].value, found["rating/chance"].stderr) == (0, 0)
    assert all(found[f"rating/{name}"].stderr for name in ("agent", "greedy", "old"))
    assert {"score/chance", "score/greedy", "score/old", "score/chance/greedy"} <= found.keys()
    assert "row against column" in caplog.text


def test_a_known_rating_is_the_fixed_point(keisei: Path, recorded_run: Any) -> None:
    opponents = [OPPONENTS[0], OPPONENTS[1] | {"rating": 1200}]
    found = values(evaluate(context(keisei, recorded_run(), strategy="tournament", opponents=opponents, numGames=2)))
    assert found["rating/greedy"] == 1200
    assert found["rating/chance"] != 0


def test_games_between_opponents_say_nothing_of_the_agent(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    evaluate(context(keisei, record, strategy="tournament", opponents=OPPONENTS, numGames=2))
    for game in record.samples:
        agents = "agent" in (game["black"], game["white"])
        assert ("score" in game) == ("outcome" in game) == agents
        assert bool(game["values"]) == agents


@pytest.mark.parametrize("kept", [1, 9])
def test_an_interrupted_tournament_ends_with_the_same_games_and_ratings(
    keisei: Path, recorded_run: Any, kept: int
) -> None:
    whole, rest = recorded_run(), recorded_run()
    spec: dict[str, Any] = {"strategy": "tournament", "opponents": OPPONENTS, "numGames": 2, "maxMoves": 20}
    expected = evaluate(context(keisei, whole, **spec))
    done = dict(list(by_id(whole.samples).items())[:kept])
    assert evaluate(context(keisei, rest, done=done, **spec)) == expected
    assert by_id(rest.samples).keys() == by_id(whole.samples).keys() - done.keys()


def test_a_ladder_meets_the_weakest_near_opponent_first(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    spec = {"strategy": "ladder", "opponents": LADDER, "numGames": 2}
    outcome = evaluate(context(keisei, record, **spec))
    met = list(dict.fromkeys(name.partition("/")[0] for name in by_id(record.samples)))
    assert met == ["low", "new", "middle"]
    assert outcome.complete
    assert record.progress_reports[-1][0] == 6


def test_at_most_max_opponents_are_met(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    spec = {"strategy": "ladder", "opponents": LADDER, "numGames": 2, "ladder": {"maxOpponents": 2}}
    assert evaluate(context(keisei, record, **spec)).complete
    assert {name.partition("/")[0] for name in by_id(record.samples)} == {"low", "new"}


def test_a_ladders_ratings_move_by_keiseis_rule(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    opponents = [{"name": "one", "type": "heuristic", "rating": 1500}]
    spec = {"strategy": "ladder", "opponents": opponents, "numGames": 4, "maxMoves": 120, "ladder": {"kFactor": 10}}
    found = values(evaluate(context(keisei, record, **spec)))
    score = sum(game["score"] for game in record.samples)
    # Equal ratings: half the games are expected.
    assert found["elo/agent"] == pytest.approx(1500 + 10 * (score - 2))
    assert found["elo/one"] == pytest.approx(1500 - 10 * (score - 2))
    assert found["rating/one"] == 1500


@pytest.mark.parametrize("kept", [1, 3])
def test_an_interrupted_ladder_ends_with_the_same_ratings(keisei: Path, recorded_run: Any, kept: int) -> None:
    whole, rest = recorded_run(), recorded_run()
    spec: dict[str, Any] = {"strategy": "ladder", "opponents": LADDER, "numGames": 2, "maxMoves": 20}
    expected = evaluate(context(keisei, whole, **spec))
    done = dict(list(by_id(whole.samples).items())[:kept])
    assert evaluate(context(keisei, rest, done=done, **spec)) == expected
    assert by_id(rest.samples).keys() == by_id(whole.samples).keys() - done.keys()


def test_a_ladder_without_a_near_opponent_is_refused(keisei: Path, recorded_run: Any) -> None:
    spec = {"strategy": "ladder", "opponents": LADDER[:1], "numGames": 2}
    with pytest.raises(EvaluationError, match=r"ratingRange \(400 Elo points\).*1500: far at 900") as caught:
        evaluate(context(keisei, recorded_run(), **spec))
    assert caught.value.reason is Reason.INVALID_TASK


def test_a_sequence_is_played_as_it_stands(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    steps = [
        {"opponent": "greedy", "numGames": 2},
        {"opponent": "chance", "numGames": 1},
        {"opponent": "greedy", "numGames": 3},
    ]
    outcome = evaluate(context(keisei, record, strategy="custom", opponents=OPPONENTS[:2], sequence=steps))
    games = by_id(record.samples)
    assert outcome.complete
    assert sorted(games) == [
        "chance/pair-0000-black",
        "greedy/pair-0000-black",
        "greedy/pair-0000-white",
        "greedy/pair-0001-black",
        "greedy/pair-0001-white",
        "greedy/pair-0002-black",
    ]
    metrics = {metric.name: metric.n for metric in outcome.metrics}
    assert (metrics["score"], metrics["score/greedy"], metrics["score/chance"]) == (6, 5, 1)


@pytest.mark.parametrize(
    ("strategy", "spec"),
    [
        ("tournament", {"opponents": OPPONENTS, "numGames": 2}),
        ("ladder", {"opponents": LADDER, "numGames": 2}),
        ("custom", {"opponents": OPPONENTS, "sequence": [{"opponent": "chance", "numGames": 4}]}),
        ("benchmark", {"maxMoves": 500}),
    ],
)
def test_a_stop_before_any_game_ended_measures_nothing(
    keisei: Path, recorded_run: Any, strategy: str, spec: dict[str, Any]
) -> None:
    record = recorded_run(stop_after_asks=0)
    outcome = evaluate(context(keisei, record, strategy=strategy, **spec))
    assert (outcome.metrics, outcome.complete, record.samples) == ([], False, [])


def ratings(path: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads(path.read_text())["ratings"]
    return found


def test_a_finished_evaluation_moves_the_registry_once(keisei: Path, recorded_run: Any, tmp_path: Path) -> None:
    record = recorded_run()
    spec = {"opponent": {"type": "heuristic"}, "numGames": 4, "maxMoves": 120, "eloRegistry": "keep/elo_ratings.json"}
    evaluate(context(keisei, record, output_root=tmp_path, **spec))
    score = sum(game["score"] for game in record.samples)
    assert ratings(tmp_path / "keep" / "elo_ratings.json") == {
        "checkpoint_ts20000.pth": 1500 + 32 * (score - 2),
        "heuristic": 1500 - 32 * (score - 2),
    }


def test_an_evaluation_that_was_stopped_leaves_the_registry_alone(
    keisei: Path, recorded_run: Any, tmp_path: Path
) -> None:
    record = recorded_run(stop_after_samples=1)
    spec = {"strategy": "custom", "opponents": OPPONENTS, "sequence": [{"opponent": "chance", "numGames": 600}]}
    outcome = evaluate(
        context(keisei, record, output_root=tmp_path, eloRegistry="elo_ratings.json", maxMoves=14, **spec)
    )
    assert not outcome.complete
    assert record.samples
    assert not (tmp_path / "elo_ratings.json").exists()


def test_a_ladder_starts_from_the_registry(keisei: Path, recorded_run: Any, tmp_path: Path) -> None:
    registry = tmp_path / "elo_ratings.json"
    registry.write_text(
        json.dumps(
            {
                "ratings": {"checkpoint_ts20000.pth": 950, "random": 900},
                "metadata": {"initial_rating": 1500.0, "k_factor": 16.0},
            }
        )
    )
    record = recorded_run()
    opponents = [{"name": "chance", "type": "random"}, {"name": "greedy", "type": "heuristic"}]
    spec = {"strategy": "ladder", "opponents": opponents, "numGames": 2, "eloRegistry": "elo_ratings.json"}
    outcome = evaluate(context(keisei, record, output_root=tmp_path, **spec))
    # The heuristic player stands at 1500, more than 400 away.
    assert {name.partition("/")[0] for name in by_id(record.samples)} == {"chance"}
    assert ratings(registry)["checkpoint_ts20000.pth"] == values(outcome)["elo/agent"]


def test_a_registry_that_cant_be_written_costs_no_verdict(
    keisei: Path, recorded_run: Any, tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "file").touch()
    spec = {"numGames": 2, "eloRegistry": "file/elo_ratings.json"}
    where = context(keisei, recorded_run(), output_root=tmp_path, **spec)
    outcome = evaluate(where)
    assert outcome.complete
    assert outcome.metrics
    assert "are as they were" in caplog.text


def test_a_registry_without_a_place_is_refused(keisei: Path, recorded_run: Any) -> None:
    with pytest.raises(EvaluationError, match="the run has no output on a volume") as caught:
        evaluate(context(keisei, recorded_run(), numGames=2, eloRegistry="elo_ratings.json"))
    assert caught.value.reason is Reason.INVALID_TASK
