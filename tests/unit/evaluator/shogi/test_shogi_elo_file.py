"""The same games move Keisei's ratings once, however often they are handed in."""

from pathlib import Path

import pytest

from hantei_api.shogi import AGENT_NAME, ActionPerspective, OpponentType, ShogiSuite
from hantei_evaluator.suites.shogi.arena import Played
from hantei_evaluator.suites.shogi.contestants import Contestant
from hantei_evaluator.suites.shogi.elo_file import move_ratings
from hantei_evaluator.suites.shogi.keisei import elo_registry
from hantei_evaluator.suites.shogi.keisei.elo_registry import EloRegistry, read_registry, registry_at
from hantei_evaluator.suites.shogi.players import RandomPlayer


def contestant(name: str, kind: OpponentType, checkpoint: Path | None = None) -> Contestant:
    return Contestant(name, RandomPlayer(), kind, checkpoint, ActionPerspective.ABSOLUTE)


def match(score: float) -> list[Played]:
    return [Played(f"pair-{n:04d}-black", f"pair-{n:04d}", AGENT_NAME, "opponent", score, 9, "7g7f") for n in range(10)]


def test_games_that_were_taken_over_move_no_rating_again(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pth"
    checkpoint.write_bytes(b"weights")
    players = [contestant(AGENT_NAME, OpponentType.CHECKPOINT, checkpoint), contestant("opponent", OpponentType.RANDOM)]
    file = tmp_path / "elo_ratings.json"
    move_ratings(file, ShogiSuite(), players, [match(1.0)])
    once = read_registry(file).ratings
    assert once == {"checkpoint.pth": 1660.0, "random": 1340.0}

    move_ratings(file, ShogiSuite(), players, [list(reversed(match(1.0)))])
    assert read_registry(file).ratings == once

    move_ratings(file, ShogiSuite(), players, [match(0.0)])
    assert read_registry(file).ratings["checkpoint.pth"] < 1660.0


def test_another_checkpoint_of_the_same_file_name_moves_it(tmp_path: Path) -> None:
    file = tmp_path / "elo_ratings.json"
    for weights in (b"one", b"two"):
        checkpoint = tmp_path / "model.pt"
        checkpoint.write_bytes(weights)
        players = [
            contestant(AGENT_NAME, OpponentType.CHECKPOINT, checkpoint),
            contestant("opponent", OpponentType.RANDOM),
        ]
        move_ratings(file, ShogiSuite(), players, [match(1.0)])
    assert read_registry(file).ratings["model.pt"] > 1660.0


def test_as_many_matches_are_remembered_as_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elo_registry, "MATCHES_KEPT", 2)
    file = tmp_path / "elo_ratings.json"
    with registry_at(file) as registry:
        assert [registry.count_once(each) for each in ("a", "b", "a", "c")] == [True, True, False, True]
    again: EloRegistry
    with registry_at(file) as again:
        assert not again.count_once("b")
        assert again.count_once("a")
