"""``hantei evaluate``'s flags."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from hantei_api.task import EvaluationTask
from hantei_cli import evaluate
from hantei_cli.main import Parser, main


def parse(*arguments: str, command: list[str] | None = None) -> EvaluationTask:
    parser = Parser()
    evaluate.add_parser(parser.add_subparsers())
    return evaluate.task_of(parser.parse_args(["evaluate", *arguments], argparse.Namespace(command=command or [])))


def test_classification_flags_make_a_task(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    task = parse(
        *("--checkpoint", "a.pt", "--suite", "classification", "--batch-size", "8"),
        *("--model", str(tmp_path / "model.py:build"), "--data", str(tmp_path / "images")),
    )
    settings = task.suite.classification
    assert settings is not None
    assert (settings.model, settings.data, settings.batch_size) == ("model/model.py:build", "data", 8)
    assert {item.name: item.path for item in task.inputs} == {"model": str(tmp_path), "data": str(tmp_path / "images")}
    assert task.checkpoint.path == str(Path("a.pt").absolute())
    assert (task.limits.gpus, task.limits.allow_cpu) == (1, True)


def test_shogi_flags_make_a_task(tmp_path: Path) -> None:
    task = parse(
        *("--checkpoint", "a.pth", "--suite", "shogi", "--strategy", "single_opponent", "--seed", "3"),
        *("--opponent-type", "checkpoint", "--opponent-checkpoint", str(tmp_path / "b.pth")),
        *("--num-games", "4", "--max-moves", "50", "--action-perspective", "relative"),
    )
    settings = task.suite.shogi
    assert settings is not None
    assert (settings.num_games, settings.max_moves, settings.action_perspective) == (4, 50, "relative")
    assert settings.opponent.checkpoint == "opponent/b.pth"
    assert task.seed == 3


def test_gymnasium_flags_make_a_task(tmp_path: Path) -> None:
    task = parse(
        *("--checkpoint", "a.pt", "--suite", "gymnasium", "--environment", "CartPole-v1", "--episodes", "7"),
        *("--argument", "mode=human", "--argument", "longest=3", "--policy", str(tmp_path / "policy.py:make")),
    )
    settings = task.suite.gymnasium
    assert settings is not None
    assert (settings.environment, settings.episodes, settings.policy) == ("CartPole-v1", 7, "policy/policy.py:make")
    assert settings.arguments == {"mode": '"human"', "longest": "3"}


def test_another_name_is_a_plugin_with_settings_and_inputs(tmp_path: Path) -> None:
    task = parse(
        *("--checkpoint", "a.pt", "--suite", "bleu", "--setting", "lowercase=true"),
        *("--input", f"data={tmp_path}"),
    )
    assert task.suite.plugin is not None
    assert task.suite.name == task.suite.plugin.name == "bleu"
    assert task.suite.plugin.settings == {"lowercase": "true"}
    assert [(item.name, item.path) for item in task.inputs] == [("data", str(tmp_path))]


def test_a_command_keeps_its_own_options() -> None:
    task = parse("--checkpoint", "s3://bucket/a.pt", "--suite", "command", command=["score", "--seed", "--", "1"])
    assert task.suite.command is not None
    assert task.suite.command.argv == ["score", "--seed", "--", "1"]
    assert task.checkpoint.uri == "s3://bucket/a.pt"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["evaluate"], "name --task FILE, or --checkpoint FILE and --suite NAME"),
        (["evaluate", "--checkpoint", "a", "--suite", "command"], "needs a program after --"),
        (["evaluate", "--checkpoint", "a", "--suite", "classification"], "needs --model"),
        (["evaluate", "--checkpoint", "a", "--suite", "gymnasium"], "needs --environment"),
        (["evaluate", "--checkpoint", "a", "--suite", "Bleu!"], "suite.plugin.name"),
        (["evaluate", "--checkpoint", "a", "--suite", "bleu", "--setting", "x"], "write --setting NAME=VALUE"),
        (
            ["evaluate", "--checkpoint", "a", "--suite", "shogi", "--num-games", "0"],
            "suite.shogi.num_games: Input should be greater",
        ),
        (["evaluate", "--checkpoint", "a", "--suite", "shogi", "--", "x"], "only --suite command takes a program"),
        (["evaluate", "--task", "t", "--suite", "shogi"], "drop --checkpoint and --suite"),
    ],
)
def test_usage_errors_exit_64_and_say_what_to_do(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 64
    assert words in capsys.readouterr().err


def test_a_flag_of_another_suite_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["evaluate", "--checkpoint", "a", "--suite", "shogi", "--environment", "CartPole-v1"])
    assert raised.value.code == 64
    assert "--environment is for --suite gymnasium, not shogi" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "elo_ratings.json"
    file.touch()
    with pytest.raises(SystemExit) as raised:
        main(["evaluate", "--checkpoint", "a", "--suite", "shogi", "--output-dir", str(file)])
    assert raised.value.code == 64
    assert f"--output-dir {file}: is a file; name a directory" in capsys.readouterr().err


def test_help_and_version_need_no_torch() -> None:
    code = (
        "import sys\nfrom hantei_cli.main import main\n"
        "for flag in ('--help', '--version'):\n"
        "    try: main(['evaluate', flag] if flag == '--help' else [flag])\n"
        "    except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'numpy', 'hantei_evaluator'} & set(sys.modules); assert not heavy, heavy"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "hantei 0." in ended.stdout


def test_a_missing_evaluator_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['psutil'] = None\nfrom hantei_cli.main import main\n"
        "main(['evaluate', '--checkpoint', 'a', '--suite', 'command', '--', 'true'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 69
    assert "pip install 'hantei[evaluator]'" in ended.stderr


def test_politeness_and_service_level_flags_make_a_task() -> None:
    shogi = ("--checkpoint", "a.pth", "--suite", "shogi")
    task = parse(*shogi, "--duty-cycle-percent", "50", "--enforce-sla")
    assert (task.politeness.duty_cycle_percent, task.sla.enforce) == (50, True)
    assert (parse(*shogi).politeness.duty_cycle_percent, parse(*shogi).sla.enforce) == (100, False)
