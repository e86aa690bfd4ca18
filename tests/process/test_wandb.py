"""W&B never changes a verdict and costs at most publishSeconds."""

import socket
from pathlib import Path

import pytest

from support.evaluation import WRITE_RESULT, evaluate, python_command

pytestmark = pytest.mark.timeout(60)

KEY = "a" * 40


def test_offline_keeps_the_run_in_the_output_and_says_how_to_sync(tmp_path: Path) -> None:
    task = python_command(WRITE_RESULT, wandb={"project": "p", "mode": "offline", "group": "training"}, trainingStep=7)

    ended = evaluate(tmp_path, task)

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.wandb is not None
    assert not ended.summary.wandb.synced
    directory = ended.summary.wandb.message.rpartition("wandb sync --yes ")[2]
    logged = next(Path(directory).glob("run-*.wandb")).read_bytes()
    for word in (b"evaluation/accuracy", b"evaluation/timestep", b"training"):
        assert word in logged
    assert ended.left_over == []


def test_a_server_that_never_answers_costs_publish_seconds_at_most(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        task = python_command(
            WRITE_RESULT, wandb={"project": "p", "secretName": "hantei-wandb"}, limits={"publishSeconds": 3}
        )
        ended = evaluate(tmp_path, task, {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": f"http://127.0.0.1:{port}"})

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.timings.publish_seconds < 5
    assert ended.summary.wandb is not None
    assert not ended.summary.wandb.synced
    assert ended.summary.published
    assert KEY not in ended.summary.wandb.message + ended.stderr


def test_no_api_key_is_said_and_changes_no_verdict(tmp_path: Path) -> None:
    task = python_command(WRITE_RESULT, wandb={"project": "p", "secretName": "hantei-wandb"})

    ended = evaluate(tmp_path, task, {"WANDB_API_KEY": "", "HOME": str(tmp_path)})

    assert ended.exit_code == 0, ended.stderr
    assert ended.summary.wandb is not None
    assert not ended.summary.wandb.synced
    assert "wandb sync --yes" in ended.summary.wandb.message
