import shutil
from pathlib import Path
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import ShogiSuite, arena, contestants, rules
from support.shogi import OPPONENTS, by_id, context, evaluate


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
    monkeypatch.setattr(arena, "SLOTS", 2)
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
    monkeypatch.setattr(arena, "SLOTS", 2)
    record = recorded_run(stop_after_samples=3)
    outcome = evaluate(context(keisei, record, numGames=8, maxMoves=20))
    assert not outcome.complete
    assert 3 <= len(record.samples) < 8
    assert outcome.metrics[0].n == len(record.samples)


def test_a_stop_before_any_game_ended_measures_nothing(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run(stop_after_asks=3)
    outcome = evaluate(context(keisei, record, numGames=4))
    assert (outcome.metrics, outcome.complete, record.samples) == ([], False, [])
    assert record.asks == 4


def test_every_ply_is_a_sign_of_life(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run(stop_after_asks=10)
    evaluate(context(keisei, record, numGames=4))
    assert record.progress_reports == [(0, 4)] * 11


@pytest.mark.parametrize(("openings", "plies"), [({"openingPlies": 8}, 8), ({"openings": "shipped"}, 12)])
def test_a_limit_within_the_opening_is_refused(
    keisei: Path, recorded_run: Any, openings: dict[str, Any], plies: int
) -> None:
    with pytest.raises(
        EvaluationError, match=f"maxMoves is 8 plies, which must be more than the {plies} plies"
    ) as caught:
        evaluate(context(keisei, recorded_run(), maxMoves=8, **openings))
    assert caught.value.reason is Reason.INVALID_TASK


def test_a_missing_opponent_names_its_path(keisei: Path, recorded_run: Any) -> None:
    opponent = {"type": "checkpoint", "checkpoint": "champion/best.pth"}
    with pytest.raises(EvaluationError, match=r"champion/best\.pth: no such file") as caught:
        evaluate(context(keisei, recorded_run(), opponent=opponent))
    assert caught.value.reason is Reason.CHECKPOINT_MISSING


def test_a_checkpoint_without_weights_is_refused_on_load(keisei: Path, recorded_run: Any, tmp_path: Path) -> None:
    (tmp_path / "keisei").mkdir()
    shutil.copy(keisei / "README.md", tmp_path / "keisei" / "checkpoint_ts20000.pth")
    with pytest.raises(EvaluationError) as caught:
        evaluate(context(tmp_path / "keisei", recorded_run()))
    assert caught.value.reason is Reason.CHECKPOINT_INVALID


def test_games_of_earlier_attempts_count_and_are_not_played_again(keisei: Path, recorded_run: Any) -> None:
    whole, rest = recorded_run(), recorded_run()
    expected = evaluate(context(keisei, whole, numGames=10))
    done = {name: sample for name, sample in by_id(whole.samples).items() if name < "pair-0003"}
    outcome = evaluate(context(keisei, rest, numGames=10, done=done))
    assert by_id(rest.samples).keys() == by_id(whole.samples).keys() - done.keys()
    assert outcome == expected
    assert rest.progress_reports[-1] == (10, 10)


def test_when_all_games_are_done_nothing_is_played(keisei: Path, recorded_run: Any) -> None:
    whole, rest = recorded_run(), recorded_run()
    expected = evaluate(context(keisei, whole, numGames=4))
    assert evaluate(context(keisei, rest, numGames=4, done=by_id(whole.samples))) == expected
    assert rest.samples == []


def test_a_sample_holds_its_number_for_each_mean(keisei: Path, recorded_run: Any) -> None:
    record = recorded_run()
    outcome = evaluate(context(keisei, record, numGames=6, maxMoves=80, opponent={"type": "heuristic"}))
    whole = {"elo_difference", "likelihood_of_superiority"}
    means = {metric.name: metric for metric in outcome.metrics if metric.name not in whole}
    for name, metric in means.items():
        own = [sample["values"][name] for sample in record.samples if name in sample["values"]]
        assert sum(own) / len(own) == pytest.approx(metric.value)
        assert len(own) == metric.n


def identity(where: Any) -> dict[str, str]:
    suite = ShogiSuite()
    suite.load(where)
    return dict(suite.identity(where) or {})


def test_the_identity_names_what_a_game_depends_on_and_not_how_many_are_played(keisei: Path, recorded_run: Any) -> None:
    old = {"type": "checkpoint", "checkpoint": "keisei/checkpoint_ts10000.pth"}
    settings = [
        {},
        {"opponent": {"type": "heuristic"}},
        {"opponent": old},
        {"opponent": old | {"checkpoint": "keisei/checkpoint_ts20000.pth"}},
        {"opponent": old | {"actionPerspective": "relative"}},
        {"maxMoves": 41},
        {"openingPlies": 8},
        {"openingPlies": 9},
        {"actionPerspective": "relative"},
        {"precision": "bf16"},
    ]
    found = [identity(context(keisei, recorded_run(), **each)) for each in settings]
    assert all(one != other for number, one in enumerate(found) for other in found[:number])
    assert identity(context(keisei, recorded_run(), numGames=400)) == found[0]
    assert identity(context(keisei, recorded_run(), numGames=400, sprt={})) == found[0]


def test_how_the_network_answers_may_differ_between_a_run_and_its_baseline(keisei: Path, recorded_run: Any) -> None:
    found = identity(context(keisei, recorded_run()))
    other = identity(context(keisei, recorded_run(), precision="bf16", actionPerspective="relative"))
    differing = {name for name in found if found[name] != other[name]}
    assert differing == {"agent.precision", "agent.actionPerspective"}


def test_a_tournament_and_a_sequence_of_the_same_opponents_share_their_games(keisei: Path, recorded_run: Any) -> None:
    tournament = context(keisei, recorded_run(), strategy="tournament", opponents=OPPONENTS, numGames=2)
    steps = [{"opponent": "greedy", "numGames": 2}]
    custom = context(keisei, recorded_run(), strategy="custom", opponents=OPPONENTS, sequence=steps)
    assert identity(tournament) == identity(custom)
    evaluate(tournament)
    evaluate(custom)
    games = by_id(tournament.recorder.samples)  # type: ignore[attr-defined]
    for name, game in by_id(custom.recorder.samples).items():  # type: ignore[attr-defined]
        assert games[name] == game


def test_a_network_that_plays_twice_is_read_once(
    keisei: Path, recorded_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    load_network = contestants.load_network

    def counted(path: Path, device: Any) -> Any:
        read.append(path)
        return load_network(path, device)

    monkeypatch.setattr(contestants, "load_network", counted)
    itself = {"name": "itself", "type": "checkpoint", "checkpoint": "keisei/checkpoint_ts20000.pth"}
    evaluate(context(keisei, recorded_run(), strategy="tournament", opponents=[*OPPONENTS, itself], numGames=1))
    assert len(read) == 2
