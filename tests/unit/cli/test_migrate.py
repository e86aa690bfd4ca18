"""``hantei migrate``."""

import json
from pathlib import Path

import pytest
import yaml

from hantei_api.spec import EvaluationRunSpec
from hantei_cli.main import main

FIXTURES = Path(__file__).parents[2] / "fixtures" / "keisei"


def test_a_config_becomes_a_manifest_on_stdout_and_an_account_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--checkpoint-claim", "shared", "--checkpoint-path", "a/checkpoint_ts5.pth", "--name", "mine"]
    assert main(["migrate", str(FIXTURES / "default_config.yaml"), *flags]) == 0
    out, err = capsys.readouterr()
    manifest = yaml.safe_load(out)
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("EvaluationRun", "mine")
    assert EvaluationRunSpec.model_validate(manifest["spec"]).checkpoint.training_step == 5
    assert "Had no effect in Keisei:" in err
    assert "num_games: 20 -> suite.shogi.numGames: 10" in err


def test_the_report_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", str(FIXTURES / "old_config.yaml"), "--report"]) == 0
    header, *rows = capsys.readouterr().err.splitlines()
    assert header.split() == ["FIELD", "VALUE", "HERE", "IN", "KEISEI"]
    here = header.index("HERE")
    assert all(row[here - 2 : here] == "  " for row in rows[: rows.index("To check:")])


def test_a_benchmarks_positions_are_written_for_its_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = {"name": "endgame", "type": "random", "metadata": {"initial_fen": "4k4/9/4P4/9/9/9/9/9/4K4 b G 1"}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"strategy": "benchmark", "strategy_params": {"suite_config": [case]}}))
    assert main(["migrate", str(config), "--cases", str(tmp_path / "cases.jsonl")]) == 0
    assert json.loads((tmp_path / "cases.jsonl").read_text()) == {
        "name": "endgame",
        "sfen": "4k4/9/4P4/9/9/9/9/9/4K4 b G 1",
    }
    assert "benchmark/cases.jsonl" in capsys.readouterr().out


def test_keiseis_result_becomes_samples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", str(FIXTURES / "evaluation_result.json")]) == 0
    samples = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each.get("score") for each in samples] == [1.0, 0.0, 0.5, 1.0, None]


def test_keiseis_effective_configuration_in_json_is_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "effective_config.json"
    path.write_text(json.dumps(yaml.safe_load((FIXTURES / "default_config.yaml").read_text())))
    assert main(["migrate", str(path)]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["spec"]["suite"]["shogi"]["strategy"] == "tournament"


def test_a_registry_that_is_not_there_is_no_empty_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["migrate", str(tmp_path), "--elo-registry", str(tmp_path / "elo_ratings.json")])
    assert raised.value.code == 64
    assert "is no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.yaml", "num_games: 0", "num_games is 0: Input should be greater than 0"),
        ("config.yaml", "a: [", "is no YAML"),
        ("config.yaml", None, "can't be read: No such file"),
        ("config.yaml", "\x00\x01", "is no YAML"),
        ("result.json", "{}", "is no EvaluationResult of Keisei's"),
        ("result.json", None, "does not exist"),
        ("directory", None, "can't be read"),
    ],
)
def test_what_can_not_be_read_ends_with_64_and_nothing_on_stdout(
    tmp_path: Path, name: str, content: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    if name == "directory":
        path.mkdir()
    try:
        code = main(["migrate", str(path)])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    out, err = capsys.readouterr()
    assert (code, out) == (64, "")
    assert words in err


def test_cases_without_positions_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["migrate", str(FIXTURES / "old_config.yaml"), "--cases", str(tmp_path / "cases.jsonl")])
    assert raised.value.code == 64
    assert "has no positions" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
