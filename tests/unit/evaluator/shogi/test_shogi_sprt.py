from collections.abc import Sequence
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import arena
from hantei_evaluator.suites.shogi.actions import usi
from hantei_evaluator.suites.shogi.games import FinishedGame, Game
from hantei_evaluator.suites.shogi.rules import Termination
from support.shogi import by_id, context, evaluate, values


@pytest.fixture
def decided_games(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for the match: the game's result is looked up, and games end in the order that is asked for."""

    def install(results: dict[str, float], *, backwards: bool = False) -> list[str]:
        started: list[str] = []

        def play(games: Any, players: Any, settings: Any, *, keep_going: Any, slots: int, **_: Any) -> Any:
            running: list[Game] = []
            while keep_going():
                while len(running) < slots and (game := next(games, None)) is not None:
                    started.append(game.sample_id)
                    running.append(game)
                if not running:
                    return
                game = running.pop() if backwards else running.pop(0)
                score = results.get(game.sample_id, 0.5)
                moves = [usi(action) for action in game.opening.actions]
                black = score if game.black == "agent" else 1 - score
                yield FinishedGame(game, black, Termination.CHECKMATE, moves, [*moves, "1i1h"])

        monkeypatch.setattr(arena, "play", play)
        return started

    return install


def pairs(scores: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {
        f"pair-{number:04d}-{colour}": score
        for number, pair in enumerate(scores)
        for colour, score in zip(("black", "white"), pair, strict=True)
    }


STRONG = [(1.0, 1.0), (1.0, 0.5), (1.0, 0.0)] * 200
EVEN = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)] * 200
SPRT = {"elo0": 0, "elo1": 100}


def test_a_clear_match_ends_early_and_says_how(keisei: Any, recorded_run: Any, decided_games: Any, caplog: Any) -> None:
    caplog.set_level("INFO")
    record = recorded_run()
    decided_games(pairs(STRONG))
    outcome = evaluate(context(keisei, record, numGames=1000, sprt=SPRT))
    found = values(outcome)
    assert outcome.complete
    assert found["sprt_decision"] == 1
    assert found["sprt_llr"] >= 2.944
    assert outcome.metrics[0].name == "score"
    assert outcome.metrics[0].n == len(record.samples) < 200
    assert record.progress_reports[-1] == (len(record.samples), 1000)
    assert f"SPRT: accept H1 after {len(record.samples)} games" in caplog.text


def test_an_even_match_is_no_better(keisei: Any, recorded_run: Any, decided_games: Any) -> None:
    decided_games(pairs(EVEN))
    found = values(evaluate(context(keisei, recorded_run(), numGames=2000, sprt=SPRT)))
    assert found["sprt_decision"] == -1
    assert found["sprt_llr"] <= -2.944


def test_the_cap_of_games_leaves_it_inconclusive(keisei: Any, recorded_run: Any, decided_games: Any) -> None:
    record = recorded_run()
    decided_games(pairs(EVEN))
    outcome = evaluate(context(keisei, record, numGames=11, sprt=SPRT))
    assert outcome.complete
    assert values(outcome)["sprt_decision"] == 0
    # The eleventh game has no partner.
    assert len(record.samples) == 10


def test_which_games_count_does_not_depend_on_how_fast_they_end(
    keisei: Any, recorded_run: Any, decided_games: Any
) -> None:
    records = [recorded_run() for _ in range(2)]
    outcomes = []
    for record, backwards in zip(records, (False, True), strict=True):
        decided_games(pairs(STRONG), backwards=backwards)
        outcomes.append(evaluate(context(keisei, record, numGames=1000, sprt=SPRT)))
    assert outcomes[0] == outcomes[1]
    assert by_id(records[0].samples) == by_id(records[1].samples)


@pytest.mark.parametrize("kept", [0, 1, 7, 30])
def test_an_interrupted_test_ends_with_the_same_games(
    keisei: Any, recorded_run: Any, decided_games: Any, kept: int
) -> None:
    whole, rest = recorded_run(), recorded_run()
    decided_games(pairs(STRONG))
    expected = evaluate(context(keisei, whole, numGames=1000, sprt=SPRT))
    done = dict(list(by_id(whole.samples).items())[:kept])
    assert evaluate(context(keisei, rest, numGames=1000, sprt=SPRT, done=done)) == expected
    assert by_id(rest.samples).keys() == by_id(whole.samples).keys() - done.keys()


def test_a_stop_keeps_whole_pairs_and_is_not_complete(keisei: Any, recorded_run: Any, decided_games: Any) -> None:
    record = recorded_run(stop_after_samples=8)
    decided_games(pairs(EVEN))
    outcome = evaluate(context(keisei, record, numGames=1000, sprt=SPRT))
    assert not outcome.complete
    assert values(outcome)["sprt_decision"] == 0
    assert len(record.samples) == outcome.metrics[0].n == 8


def test_a_test_without_a_whole_pair_is_refused(keisei: Any, recorded_run: Any) -> None:
    with pytest.raises(EvaluationError, match="numGames is 1, but sprt counts whole pairs") as caught:
        evaluate(context(keisei, recorded_run(), numGames=1, sprt={}))
    assert caught.value.reason is Reason.INVALID_TASK


def test_real_games_are_tested_in_pairs(keisei: Any, recorded_run: Any) -> None:
    record = recorded_run()
    outcome = evaluate(context(keisei, record, numGames=6, sprt={}))
    assert outcome.complete
    assert len(by_id(record.samples)) == outcome.metrics[0].n == 6
