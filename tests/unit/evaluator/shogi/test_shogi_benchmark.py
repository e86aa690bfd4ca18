import json
from pathlib import Path
from typing import Any

import pytest

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi import ShogiSuite, rules
from hantei_evaluator.suites.shogi.actions import parse_usi
from hantei_evaluator.suites.shogi.cases import SHIPPED, read_cases
from hantei_evaluator.suites.shogi.generate.mates import mates_in_one
from support.shogi import by_id, context, evaluate, values

GOLD_MATES = "4k4/9/4P4/9/9/9/9/9/4K4 b G 1"
START = rules.START_SFEN


def write(path: Path, *cases: Any) -> Path:
    path.write_text("\n".join(json.dumps(case) for case in cases) + "\n")
    return path


@pytest.fixture
def inputs(keisei: Path, tmp_path: Path) -> Path:
    """A place with the checkpoints, for files of a test beside them."""
    (tmp_path / "keisei").symlink_to(keisei)
    return tmp_path


def benchmark(inputs: Path, record: Any, **spec: Any) -> Any:
    where = context(inputs / "keisei", record, strategy="benchmark", **{"maxMoves": 500, **spec})
    return where, evaluate(where)


def test_a_hundred_mates_in_one_are_shipped_and_each_is_one() -> None:
    cases = read_cases(SHIPPED).cases
    assert len(cases) == len({case.sfen.rsplit(" ", 1)[0] for case in cases}) == 100
    assert sum(case.black_to_move for case in cases) == 50
    for case in cases[::5]:
        assert case.moves == frozenset(mates_in_one(rules.new_state(case.sfen)))
        assert 1 <= len(case.moves) <= 3


def test_the_shipped_cases_are_asked_one_move_each(inputs: Path, recorded_run: Any) -> None:
    record = recorded_run()
    _, outcome = benchmark(inputs, record)
    samples = by_id(record.samples)
    assert outcome.complete
    assert len(samples) == 100
    assert all(sample["plies"] == 1 for sample in samples.values())
    passed = [sample for sample in samples.values() if sample["moves"][0] in sample["accepted"]]
    assert [sample for sample in samples.values() if sample["outcome"] == "pass"] == passed
    assert outcome.metrics[0].name == "pass_rate"
    assert outcome.metrics[0].value == len(passed) / 100
    assert outcome.metrics[0].n == 100
    assert record.progress_reports[-1] == (100, 100)


def test_an_asked_case_is_no_draw(inputs: Path, recorded_run: Any) -> None:
    record = recorded_run()
    benchmark(inputs, record)
    assert {(sample["blackScore"], sample["termination"]) for sample in record.samples} == {(None, None)}
    assert not any("score" in sample for sample in record.samples)


def test_an_accepted_move_passes_and_another_fails(inputs: Path, recorded_run: Any) -> None:
    record = recorded_run()
    write(inputs / "probe.jsonl", {"name": "start", "sfen": START, "moves": ["7g7f"]})
    benchmark(inputs, record, benchmark={"cases": "probe.jsonl"})
    (move,) = record.samples[0]["moves"]
    other = "1g1f" if move != "1g1f" else "9g9f"
    cases = [
        {"name": "right", "sfen": START, "moves": [move]},
        {"name": "wrong", "sfen": START, "moves": [other]},
        {"name": "either", "sfen": START, "moves": [other, move]},
    ]
    write(inputs / "cases.jsonl", *cases)
    record = recorded_run()
    _, outcome = benchmark(inputs, record, benchmark={"cases": "cases.jsonl"})
    samples = by_id(record.samples)
    assert {name: sample["passed"] for name, sample in samples.items()} == {
        "case/right": True,
        "case/wrong": False,
        "case/either": True,
    }
    assert values(outcome) == {"pass_rate": pytest.approx(2 / 3)}


def test_a_case_without_moves_is_played_to_its_end_and_a_win_passes(inputs: Path, recorded_run: Any) -> None:
    # A lone king to take on with the whole army, when White moves first.
    bare = "4k4/9/9/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL"
    write(
        inputs / "cases.jsonl",
        {"name": "start", "sfen": START},
        {"name": "white", "sfen": f"{bare} w - 1"},
        {"name": "asked", "sfen": START, "moves": ["7g7f"]},
    )
    record = recorded_run()
    _, outcome = benchmark(
        inputs, record, maxMoves=30, benchmark={"cases": "cases.jsonl", "gamesPerCase": 3}, opponent={"type": "random"}
    )
    samples = by_id(record.samples)
    assert sorted(samples) == [
        "case/asked",
        *(f"case/{name}/game-{number:04d}" for name in ("start", "white") for number in range(3)),
    ]
    assert samples["case/start/game-0000"]["black"] == "agent"
    assert samples["case/white/game-0000"]["white"] == "agent"
    for sample in samples.values():
        if sample["case"] != "asked":
            assert sample["passed"] == (sample["outcome"] == "win")
    found = {metric.name: metric.n for metric in outcome.metrics}
    assert found == {
        "pass_rate": 7,
        "pass_rate/asked": 1,
        "pass_rate/played_out": 6,
        "pass_rate/case/start": 3,
        "pass_rate/case/white": 3,
    }


def test_an_interrupted_benchmark_asks_the_rest(inputs: Path, recorded_run: Any) -> None:
    whole, rest = recorded_run(), recorded_run()
    _, expected = benchmark(inputs, whole)
    done = dict(list(by_id(whole.samples).items())[:40])
    where = context(inputs / "keisei", rest, done=done, strategy="benchmark", maxMoves=500)
    assert evaluate(where) == expected
    assert by_id(rest.samples).keys() == by_id(whole.samples).keys() - done.keys()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: "),
        ("[1]", "line 2: is no JSON object"),
        ('{"sfen": "x"}', "line 2: name: Field required"),
        ('{"name": "two", "sfen": "x", "level": 3}', "line 2: level: Extra inputs are not permitted"),
        ('{"name": "a/b", "sfen": "x"}', "line 2: name: String should match pattern"),
        ('{"name": "two", "sfen": "9/9 b - 1"}', "line 2: sfen: board has 2 ranks"),
        (json.dumps({"name": "one", "sfen": START}), "line 2: the name 'one' is there already"),
        (json.dumps({"name": "two", "sfen": START, "moves": []}), "line 2: moves is empty"),
        (json.dumps({"name": "two", "sfen": START, "moves": ["7g7e"]}), "line 2: moves: 7g7e is not legal there"),
        (json.dumps({"name": "two", "sfen": START, "moves": ["e4"]}), "line 2: 'e4' is no move in USI notation"),
        ('{"name": "two", "sfen": "4k4/4G4/4P4/9/9/9/9/9/4K4 w - 1"}', "line 2: sfen: the game is over"),
        ("[" * 100_000, "line 2: "),
    ],
)
def test_a_bad_case_is_refused_with_its_line(inputs: Path, recorded_run: Any, line: str, message: str) -> None:
    first = json.dumps({"name": "one", "sfen": GOLD_MATES, "moves": ["G*5b"]})
    (inputs / "cases.jsonl").write_text(f"{first}\n{line}\n")
    with pytest.raises(EvaluationError) as caught:
        benchmark(inputs, recorded_run(), benchmark={"cases": "cases.jsonl"})
    assert message in str(caught.value)
    assert caught.value.reason is Reason.INVALID_TASK


def test_a_file_of_cases_that_is_empty_or_missing_is_refused(inputs: Path, recorded_run: Any) -> None:
    (inputs / "empty.jsonl").write_text("\n")
    for name, reason in (("empty.jsonl", Reason.INVALID_TASK), ("missing.jsonl", Reason.CHECKPOINT_MISSING)):
        with pytest.raises(EvaluationError, match=name) as caught:
            benchmark(inputs, recorded_run(), benchmark={"cases": name})
        assert caught.value.reason is reason


def test_the_same_game_is_not_counted_many_times(inputs: Path, recorded_run: Any) -> None:
    write(inputs / "cases.jsonl", {"name": "start", "sfen": START})
    old = {"type": "checkpoint", "checkpoint": "keisei/checkpoint_ts10000.pth"}
    with pytest.raises(EvaluationError, match="two networks always play the same game") as caught:
        benchmark(inputs, recorded_run(), benchmark={"cases": "cases.jsonl", "gamesPerCase": 5}, opponent=old)
    assert caught.value.reason is Reason.INVALID_TASK


def test_a_case_beyond_the_limit_of_plies_is_refused(inputs: Path, recorded_run: Any) -> None:
    write(inputs / "cases.jsonl", {"name": "late", "sfen": START.replace("- 1", "- 200")})
    with pytest.raises(EvaluationError, match="the case late begins after 199") as caught:
        benchmark(inputs, recorded_run(), benchmark={"cases": "cases.jsonl"}, maxMoves=100)
    assert caught.value.reason is Reason.INVALID_TASK


def test_the_identity_names_the_cases(inputs: Path, recorded_run: Any) -> None:
    def cases_of(move: str) -> str:
        write(inputs / "cases.jsonl", {"name": "one", "sfen": START, "moves": [move]})
        where = context(
            inputs / "keisei", recorded_run(), strategy="benchmark", maxMoves=500, benchmark={"cases": "cases.jsonl"}
        )
        suite = ShogiSuite()
        suite.load(where)
        return dict(suite.identity(where) or {})["cases"]

    assert cases_of("7g7f") == cases_of("7g7f") != cases_of("2g2f")


def test_a_mate_is_found_and_a_dropped_pawns_is_none() -> None:
    assert parse_usi("G*5b") in mates_in_one(rules.new_state(GOLD_MATES))
    pawn_drop = "7nk/9/8G/9/9/9/9/9/4K4 b P 1"
    assert parse_usi("P*1b") not in mates_in_one(rules.new_state(pawn_drop))
