"""Samples that are found across the runs of one output."""

import shutil
from pathlib import Path

import pytest

from support.samples import IDENTITY, OTHER, evaluated, ids, store_in


def entries(root: Path) -> list[Path]:
    return sorted((root / ".hantei-cache").iterdir())


def test_another_run_of_the_same_identity_computes_nothing(tmp_path: Path) -> None:
    evaluated(tmp_path / "team" / "one" / "attempt-1", range(3), outputRoot=str(tmp_path)).complete()

    second = store_in(tmp_path / "team" / "two" / "attempt-1", outputRoot=str(tmp_path))
    second.open(IDENTITY)

    assert sorted(second.stored) == ["game-0", "game-1", "game-2"]
    assert ids(tmp_path / "team" / "two" / "attempt-1") == ["game-0", "game-1", "game-2"]


def test_a_run_that_was_killed_is_found_too(tmp_path: Path) -> None:
    evaluated(tmp_path / "one", range(3), outputRoot=str(tmp_path))
    assert len(evaluated(tmp_path / "two", range(1), outputRoot=str(tmp_path)).stored) == 3


@pytest.mark.parametrize(
    "update",
    [{"checkpoint_sha256": "c" * 64}, {"seed": 2}, {"parts": {"rules": "2", "openings": "x"}}, {"suite": "gymnasium"}],
)
def test_any_part_of_the_identity_that_differs_is_another_entry(tmp_path: Path, update: dict[str, object]) -> None:
    evaluated(tmp_path / "one", range(3), outputRoot=str(tmp_path)).complete()
    other = IDENTITY.model_copy(update=update)
    assert not evaluated(tmp_path / "two", range(1), other, outputRoot=str(tmp_path)).stored
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize(
    "content", ["", "{", '{"samples":"nowhere/samples.jsonl","count":9}', '{"samples":"\\u0000","count":9}']
)
def test_a_corrupt_entry_costs_nothing_and_is_replaced(tmp_path: Path, content: str) -> None:
    evaluated(tmp_path / "one", range(3), outputRoot=str(tmp_path)).complete()
    [entry] = entries(tmp_path)
    entry.write_text(content)

    second = evaluated(tmp_path / "two", range(2), outputRoot=str(tmp_path))
    second.complete()

    assert not second.stored
    assert len(evaluated(tmp_path / "three", range(0), outputRoot=str(tmp_path)).stored) == 2


def test_an_entry_whose_directory_was_deleted_or_reused_costs_nothing(tmp_path: Path) -> None:
    evaluated(tmp_path / "one", range(3), outputRoot=str(tmp_path)).complete()
    shutil.rmtree(tmp_path / "one")
    assert not evaluated(tmp_path / "two", range(2), outputRoot=str(tmp_path)).stored

    evaluated(tmp_path / "two", range(1), OTHER, outputRoot=str(tmp_path))
    assert not evaluated(tmp_path / "three", range(1), outputRoot=str(tmp_path)).stored


def test_a_run_of_fewer_samples_does_not_hide_one_of_more(tmp_path: Path) -> None:
    evaluated(tmp_path / "many", range(6), outputRoot=str(tmp_path)).complete()
    few = store_in(tmp_path / "few", outputRoot=str(tmp_path))
    few.open(IDENTITY)
    assert few.stored["game-0"]["sampleId"] == "game-0"
    few.complete()

    assert ids(tmp_path / "few") == ["game-0"]
    assert len(evaluated(tmp_path / "again", range(0), outputRoot=str(tmp_path)).stored) == 6


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / ".hantei-cache").write_text("a file in the directory's place")
    store = evaluated(tmp_path / "one", range(3), outputRoot=str(tmp_path))
    store.complete()
    assert (store.recorder.error, len(ids(tmp_path / "one"))) == ("", 3)
