"""``hantei evaluate``'s flags for a baseline, a gate and the cache."""

import argparse
from pathlib import Path

import pytest

from hantei_api.task import EvaluationTask
from hantei_cli import evaluate
from hantei_cli.main import Parser

SHOGI = ("--checkpoint", "a.pth", "--suite", "shogi")


def parse(*arguments: str) -> EvaluationTask:
    parser = Parser()
    evaluate.add_parser(parser.add_subparsers())
    return evaluate.task_of(parser.parse_args(["evaluate", *SHOGI, *arguments], argparse.Namespace(command=[])))


def test_without_flags_nothing_is_compared_and_nothing_is_looked_up() -> None:
    task = parse()
    assert (task.baseline, task.gate, task.cache_directory) == (None, None, None)


def test_an_earlier_evaluations_directory_is_a_baseline(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    task = parse("--baseline", str(tmp_path), "--max-drop", "0.1", "--gate-metric", "score")
    assert task.baseline is not None
    assert (task.baseline.directory, task.baseline.checkpoint) == (str(tmp_path), None)
    assert task.gate is not None
    assert (task.gate.metric, task.gate.max_drop, task.gate.minimum) == ("score", 0.1, None)


@pytest.mark.parametrize(
    ("named", "directory", "uri"),
    [("s3://bucket/run/", "s3://bucket/run/", None), ("s3://bucket/a.pth", None, "s3://bucket/a.pth")],
)
def test_a_uri_is_a_directory_when_it_ends_with_a_slash(named: str, directory: str | None, uri: str | None) -> None:
    baseline = parse("--baseline", named).baseline
    assert baseline is not None
    assert (baseline.directory, baseline.checkpoint.uri if baseline.checkpoint else None) == (directory, uri)


def test_another_checkpoint_is_a_baseline(tmp_path: Path) -> None:
    baseline = parse("--baseline", str(tmp_path / "b.pth")).baseline
    assert baseline is not None
    assert baseline.checkpoint is not None
    assert (baseline.name, baseline.checkpoint.path) == ("checkpoint", str(tmp_path / "b.pth"))


def test_the_cache_is_a_directory_of_its_own(tmp_path: Path) -> None:
    task = parse("--output-dir", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"))
    assert (task.cache_directory, task.output_root) == (str(tmp_path / "cache"), None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cache", "c"], "--cache needs --output-dir"),
        (["--gate-metric", "score"], "need a limit: --minimum, or --max-drop"),
        (["--baseline", "."], "the directory holds no result.json"),
    ],
)
def test_a_flag_that_would_have_no_effect_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        parse(*arguments)
