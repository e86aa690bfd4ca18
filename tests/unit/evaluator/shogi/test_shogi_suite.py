import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.protocol import Context, Outcome, Suite
from hantei_evaluator.suites.shogi import ShogiSuite, rules, suite
from hantei_evaluator.suites.shogi.match import FinishedGame, Game, Opening, opening_actions
from hantei_evaluator.suites.shogi.rules import Termination
from hantei_evaluator.suites.shogi.suite import metrics


def context(keisei: Path, record: Any, seed: int = 7, **shogi: Any) -> Context:
    spec = {"numGames": 4, "maxMoves": 40, **shogi}
    return Context(
        task=EvaluationTask.model_validate({"checkpoint": {"path": "c.pth"}, "seed": seed, "suite": {"shogi": spec}}),
        checkpoint=keisei / "checkpoint_ts20000.pth",
        inputs=keisei.parent,
        scratch=Path("unused"),
        device=torch.device("cpu"),
        stop=record,
        recorder=record,
    )


def evaluate(where: Context) -> Outcome:
    shogi: Suite = ShogiSuite()
    shogi.load(where)
    return shogi.evaluate(where)


def by_id(samples: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {sample["sampleId"]: sample for sample in samples}


def test_an_evaluation_plays_each_opening_with_both_colours(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    outcome = evaluate(context(keisei, record, numGames=5))
    games = by_id(record.samples)
    assert sorted(games) == [
        "pair-0000-black",
        "pair-0000-white",
        "pair-0001-black",
        "pair-0001-white",
        "pair-0002-black",
    ]
    assert outcome.complete
    assert games["pair-0000-black"]["opening"] == games["pair-0000-white"]["opening"]
    assert len({tuple(game["opening"]) for game in games.values()}) == 3
    assert record.progress_reports[-1] == (5, 5)
    assert set(outcome.versions) == {"open_spiel", "torch"}
    for game in games.values():
        assert game["plies"] == len(game["moves"]) <= 40
        assert game["moves"][:8] == game["opening"]
        assert game["score"] == {"win": 1, "draw": 0.5, "loss": 0}[game["outcome"]]


def test_a_recorded_game_can_be_replayed_by_the_rules(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    evaluate(context(keisei, record, numGames=2, maxMoves=120, opponent={"type": "heuristic"}))
    for game in record.samples:
        state = rules.new_state()
        for move in game["moves"]:
            action = state.parse_move_to_action(move)
            assert action in state.legal_actions()
            state.apply_action(action)
        assert state.is_terminal() == (game["termination"] != "max_moves")


@pytest.mark.parametrize(
    "opponent",
    [
        {"type": "random"},
        {"type": "heuristic"},
        {"type": "checkpoint", "checkpoint": "keisei/checkpoint_ts10000.pth", "actionPerspective": "relative"},
    ],
)
def test_the_same_seed_gives_the_same_games_however_they_are_batched(
    keisei: Path, recorded_run: Any, opponent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, other = recorded_run(), recorded_run(), recorded_run()
    evaluate(context(keisei, first, opponent=opponent, numGames=4, maxMoves=24))
    evaluate(context(keisei, other, opponent=opponent, numGames=4, maxMoves=24, seed=8))
    monkeypatch.setattr(suite, "SLOTS", 2)
    evaluate(context(keisei, second, opponent=opponent, numGames=4, maxMoves=24))
    assert by_id(first.samples) == by_id(second.samples)
    assert by_id(first.samples) != by_id(other.samples)


def test_the_perspective_changes_how_the_agent_plays_white_alone(keisei: Path, recorded_run: Any) -> None:
    absolute, relative = recorded_run(), recorded_run()
    evaluate(context(keisei, absolute, numGames=2))
    evaluate(context(keisei, relative, numGames=2, actionPerspective="relative"))
    assert by_id(absolute.samples)["pair-0000-black"] == by_id(relative.samples)["pair-0000-black"]
    assert by_id(absolute.samples)["pair-0000-white"] != by_id(relative.samples)["pair-0000-white"]


def test_a_stop_keeps_the_finished_games_and_drops_the_others(
    keisei: Path, recorded_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "SLOTS", 2)
    record = recorded_run(stop_after_samples=3)
    outcome = evaluate(context(keisei, record, numGames=8, maxMoves=20))
    assert not outcome.complete
    assert 3 <= len(record.samples) < 8
    assert {metric.n for metric in outcome.metrics} == {len(record.samples)}


def test_a_stop_before_any_game_ended_measures_nothing(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run(stop_after_asks=3)
    outcome = evaluate(context(keisei, record))
    assert (outcome.metrics, outcome.complete, record.samples) == ([], False, [])
    assert record.asks == 4


def test_every_ply_is_a_sign_of_life(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run(stop_after_asks=10)
    evaluate(context(keisei, record))
    assert record.progress_reports == [(0, 4)] * 11


def test_a_limit_within_the_opening_is_refused(keisei: Path, recorded_run: Any) -> None:
    with pytest.raises(
        EvaluationError, match=r"maxMoves is 8 plies, which must be more than openingPlies \(8\)"
    ) as caught:
        evaluate(context(keisei, recorded_run(), maxMoves=8))
    assert caught.value.reason is Reason.INVALID_TASK


def test_a_missing_opponent_names_its_path(keisei: Path, recorded_run: Any) -> None:
    opponent = {"type": "checkpoint", "checkpoint": "champion/best.pth"}
    with pytest.raises(EvaluationError, match=r"champion/best\.pth: no such file") as caught:
        evaluate(context(keisei, recorded_run(), opponent=opponent))
    assert caught.value.reason is Reason.CHECKPOINT_MISSING


def test_openings_depend_on_seed_and_pair_alone_and_differ_between_pairs() -> None:
    openings = [tuple(opening_actions(3, pair, 8)) for pair in range(200)]
    assert len(set(openings)) == 200
    assert openings[17] == tuple(opening_actions(3, 17, 8))
    assert openings[17] != tuple(opening_actions(4, 17, 8))
    assert opening_actions(3, 0, 0) == []


WIN, DRAW, LOSS = 1.0, 0.5, 0.0
COLOURS = ("black", "white")


def game(pair: int, colour: str, result: float, plies: int = 10) -> FinishedGame:
    black, white = ("agent", "opponent") if colour == "black" else ("opponent", "agent")
    played = Game(f"pair-{pair:04d}-{colour}", f"pair-{pair:04d}", black, white, Opening())
    score = result if colour == "black" else 1 - result
    return FinishedGame(played, score, Termination.CHECKMATE, [], ["7g7f"] * plies)


def test_metrics_name_the_score_first_with_its_paired_error() -> None:
    games = [
        game(0, "black", WIN),
        game(0, "white", WIN),
        game(1, "black", DRAW),
        game(1, "white", LOSS, plies=20),
    ]
    found = {metric.name: metric for metric in metrics(games)}
    assert list(found) == ["score", "win_rate", "loss_rate", "draw_rate", "elo_difference", "average_plies"]
    # Pair means 1 and 0.25: standard error of their mean.
    assert found["score"].value == 0.625
    assert found["score"].stderr == pytest.approx(0.375)
    assert (found["win_rate"].value, found["loss_rate"].value, found["draw_rate"].value) == (0.5, 0.25, 0.25)
    assert found["elo_difference"].value == pytest.approx(88.739, abs=1e-3)
    assert found["elo_difference"].stderr == pytest.approx(277.94, abs=0.01)
    assert found["average_plies"].value == 12.5
    assert {metric.n for metric in found.values()} == {4}


def test_a_clean_sweep_has_no_finite_elo_and_no_error_of_zero() -> None:
    found = {metric.name: metric for metric in metrics([game(pair, c, WIN) for pair in range(10) for c in COLOURS])}
    assert "elo_difference" not in found
    assert found["score"].value == 1
    assert found["score"].stderr is not None
    assert 0.02 < found["score"].stderr < 0.1


def test_a_single_pair_has_no_error_of_the_score() -> None:
    (score, *_) = metrics([game(0, "black", WIN), game(0, "white", LOSS)])
    assert (score.value, score.stderr, score.n) == (0.5, None, 2)


def test_the_order_in_which_games_end_does_not_change_the_metrics() -> None:
    games = [
        game(pair, c, [WIN, DRAW, LOSS][(pair * 2 + len(c)) % 3], plies=pair + 3) for pair in range(7) for c in COLOURS
    ]
    assert metrics(games) == metrics(games[::-1])


def test_a_checkpoint_without_weights_is_refused_on_load(keisei: Path, recorded_run: Any, tmp_path: Path) -> None:
    (tmp_path / "keisei").mkdir()
    shutil.copy(keisei / "README.md", tmp_path / "keisei" / "checkpoint_ts20000.pth")
    with pytest.raises(EvaluationError) as caught:
        evaluate(context(tmp_path / "keisei", recorded_run()))
    assert caught.value.reason is Reason.CHECKPOINT_INVALID
