"""The pool of checkpoints, and what is known of opponents."""

import json
import random
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry
from hantei_evaluator.suites.shogi.keisei.opponent_performance import (
    OpponentPerformance,
    performance_at,
    read_performance,
)
from hantei_evaluator.suites.shogi.keisei.opponent_pool import OpponentPool, pool_at, read_pool

FIXTURES = Path(__file__).parents[4] / "fixtures" / "keisei"


def test_a_full_pool_drops_the_oldest() -> None:
    pool = OpponentPool(size=2)
    for checkpoint in ("a", "b", "c"):
        pool.add(checkpoint)
    assert pool.checkpoints == ["b", "c"]


def test_a_checkpoint_that_is_there_already_becomes_the_newest_and_takes_no_second_place() -> None:
    pool = OpponentPool(["a", "b"], size=2)
    pool.add("a")
    assert pool.checkpoints == ["b", "a"]


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_a_size_that_keisei_refuses_is_refused(size: int) -> None:
    with pytest.raises(EvaluationError, match=f"pool_size is {size}, which must lie between 1 and 1000"):
        OpponentPool(size=size)


def test_the_champion_has_the_highest_rating_and_of_equals_is_the_newest() -> None:
    ratings = EloRegistry(Path("unused"), ratings={"a.pth": 1600.0, "b.pth": 1550.0})
    assert OpponentPool(["models/a.pth", "models/b.pth", "models/c.pth"]).champion(ratings) == "models/a.pth"
    assert OpponentPool(["models/c.pth", "models/d.pth"]).champion(ratings) == "models/d.pth"
    assert OpponentPool().champion(ratings) is None


def test_a_sample_is_uniform_and_repeats_with_its_seed() -> None:
    pool = OpponentPool(["a", "b", "c"])
    rng = random.Random(1)
    counts = Counter(pool.sample(rng) for _ in range(3000))
    assert all(abs(count - 1000) < 100 for count in counts.values())
    assert [pool.sample(random.Random(5)) for _ in range(3)] == [pool.sample(random.Random(5))] * 3
    assert OpponentPool().sample(rng) is None


def test_a_pool_outlives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "opponent_pool.json"
    with pool_at(path, size=3) as pool:
        pool.add("models/spring/checkpoint_ts10000.pth")
    assert json.loads(path.read_text()) == {"pool_size": 3, "checkpoints": ["models/spring/checkpoint_ts10000.pth"]}
    assert read_pool(path, size=9).size == 3
    assert read_pool(tmp_path / "none.json", size=9).checkpoints == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"pool_size": "5"}', "pool_size is '5'"),
        ('{"checkpoints": [1]}', "list of paths"),
        ('{"pool_size": 0}', "between 1 and 1000"),
    ],
)
def test_a_broken_pool_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "opponent_pool.json"
    path.write_text(content)
    with pytest.raises(EvaluationError, match=words):
        read_pool(path)


def test_performance_data_are_written_as_keisei_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / "opponent_performance_data.json"
    path.write_bytes((FIXTURES / "opponent_performance_data.json").read_bytes())
    with performance_at(path) as known:
        assert known["checkpoint_ts10000.pth"].last_played == datetime(2026, 2, 8, 14, 3, 11, 501234)  # noqa: DTZ001
        assert known["heuristic"] == OpponentPerformance(opponent_type="heuristic")
    assert json.loads(path.read_text()) == json.loads((FIXTURES / "opponent_performance_data.json").read_text())


def test_performance_data_have_keiseis_defaults_and_keep_what_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "opponent_performance_data.json"
    path.write_text('{"a": {"total_games": 3, "season": "spring"}}')
    with performance_at(path) as known:
        known["b"] = OpponentPerformance()
    body = json.loads(path.read_text())
    assert (body["a"]["season"], body["a"]["elo_rating"], body["a"]["difficulty_level"]) == ("spring", 1200.0, 0.5)
    assert read_performance(path)["b"].performance_trend == "stable"


@pytest.mark.parametrize("entry", ['{"total_games": -1}', '{"recent_win_rates": [0,0,0,0,0,0,0,0,0,0,0]}', "7"])
def test_broken_performance_data_are_refused_with_the_opponent(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "opponent_performance_data.json"
    path.write_text(f'{{"somebody": {entry}}}')
    with pytest.raises(EvaluationError, match="somebody"):
        read_performance(path)
