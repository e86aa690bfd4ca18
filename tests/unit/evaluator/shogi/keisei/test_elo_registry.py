"""Keisei's elo_ratings.json."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.suites.shogi.keisei.elo_registry import (
    EloRegistry,
    expected_score,
    read_registry,
    registry_at,
)
from hantei_evaluator.suites.shogi.keisei.shared_file import exclusive


def test_a_new_file_has_keiseis_format_exactly(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    with registry_at(path) as registry:
        registry.add("checkpoint_ts10000.pth")
    assert json.loads(path.read_text()) == {
        "ratings": {"checkpoint_ts10000.pth": 1500.0},
        "metadata": {"initial_rating": 1500.0, "k_factor": 32.0},
    }


def test_twenty_wins_over_an_equal_move_320_points_as_in_keisei(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    with registry_at(path) as registry:
        assert registry.record_match("run", "checkpoint_ts10000.pth", score=20, games=20) == (1820.0, 1180.0)
    assert read_registry(path).rating("run") == 1820.0
    assert read_registry(path).top(1) == [("run", 1820.0)]


def test_a_match_of_unequals_moves_by_k_times_score_less_expectation(tmp_path: Path) -> None:
    registry = EloRegistry(tmp_path / "x", ratings={"a": 1700.0, "b": 1500.0})
    # 1 / (1 + 10 ** -0.5) = 0.759747; 32 * (2.5 - 4 * 0.759747) = -17.2476
    assert registry.record_match("a", "b", score=2.5, games=4) == (
        pytest.approx(1682.7524, abs=1e-4),
        pytest.approx(1517.2476, abs=1e-4),
    )


def test_keys_that_hantei_does_not_know_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    body = {
        "ratings": {"a": 1510},
        "games_played": {"a": 7},
        "metadata": {"initial_rating": 1200.0, "k_factor": 16.0, "season": "spring"},
    }
    path.write_text(json.dumps(body))
    with registry_at(path, k_factor=64, initial_rating=0) as registry:
        assert (registry.k_factor, registry.rating("new")) == (16.0, 1200.0)
    assert json.loads(path.read_text()) == body


def test_a_file_without_metadata_is_read_with_keiseis_defaults(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    path.write_text('{"ratings": {"a": 1510.5}}')
    assert (read_registry(path).ratings, read_registry(path).k_factor) == ({"a": 1510.5}, 32.0)


def test_a_missing_file_is_an_empty_registry_and_reading_creates_nothing(tmp_path: Path) -> None:
    assert read_registry(tmp_path / "elo_ratings.json").rating("anybody") == 1500.0
    assert list(tmp_path.iterdir()) == []


def test_an_exception_in_the_block_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    with registry_at(path) as registry:
        registry.add("a")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="must lie between 0 and games"), registry_at(path) as registry:
        registry.record_match("a", "b", score=3, games=2)
    assert path.read_bytes() == before


def test_a_player_is_not_rated_against_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="against itself"):
        EloRegistry(tmp_path / "x").record_match("a", "a", score=1, games=2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "must be an object"),
        ('{"ratings": []}', "ratings is \\[\\], which must be an object"),
        ('{"ratings": {"a": "strong"}}', "ratings\\['a'\\] is 'strong', which must be a finite number"),
        ('{"ratings": {"a": NaN}}', "ratings\\['a'\\] is nan"),
        ('{"ratings": {}, "metadata": {"k_factor": true}}', "metadata.k_factor is True"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_broken_file_is_refused_with_the_place_and_stays_as_it_is(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "elo_ratings.json"
    path.write_text(content)
    with pytest.raises(EvaluationError, match=words) as raised, registry_at(path):
        pass
    assert raised.value.reason is Reason.INVALID_TASK
    assert path.read_text() == content


def test_a_lock_that_is_held_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    with (
        exclusive(path),
        pytest.raises(EvaluationError, match=r"locked by another process for 0\.05 s") as raised,
        registry_at(path, timeout_seconds=0.05),
    ):
        pass
    assert raised.value.reason is Reason.EVALUATOR_ERROR


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    path = tmp_path / "elo_ratings.json"
    (tmp_path / ".elo_ratings.json.unfinished").write_text('{"ratings": {"a": 15')
    (tmp_path / "elo_ratings.json.lock").touch()
    with registry_at(path) as registry:
        registry.add("b")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elo_ratings.json", "elo_ratings.json.lock"]


def test_the_files_mode_and_a_link_to_it_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "elo_ratings.json"
    real.write_text('{"ratings": {}}')
    real.chmod(0o664)
    link.symlink_to(real)
    with registry_at(link) as registry:
        registry.add("a")
    assert link.is_symlink()
    assert (tmp_path / "real.json.lock").exists()
    assert read_registry(real).ratings == {"a": 1500.0}
    assert stat.S_IMODE(real.stat().st_mode) == 0o664


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "elo_ratings.json"
    with pytest.raises(EvaluationError, match="can't create the lock file") as raised, registry_at(path):
        pass
    assert str(os.getuid()) in str(raised.value)


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="can't be read \\(Is a directory\\)") as raised:
        read_registry(tmp_path)
    assert raised.value.reason is Reason.INVALID_TASK


@given(st.floats(-5000, 5000), st.floats(-5000, 5000))
def test_expected_scores_of_both_sides_add_up_to_one(a: float, b: float) -> None:
    assert expected_score(a, b) + expected_score(b, a) == pytest.approx(1.0)


@given(
    st.floats(0, 3000),
    st.floats(0, 3000),
    st.integers(0, 1000).flatmap(lambda n: st.tuples(st.just(n), st.floats(0, n))),
)
def test_a_match_takes_from_one_what_it_gives_the_other(a: float, b: float, match: tuple[int, float]) -> None:
    games, score = match
    registry = EloRegistry(Path("unused"), ratings={"a": a, "b": b})
    assert sum(registry.record_match("a", "b", score=score, games=games)) == pytest.approx(a + b)
