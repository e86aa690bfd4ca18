"""Where there is no room for scratch space the evaluation says so, instead of ending without a word."""

import errno
import tempfile
from pathlib import Path

import pytest

from hantei_api.reasons import Reason
from hantei_api.result import parse_termination_message
from hantei_api.task import EvaluationTask, TaskArtifact
from hantei_evaluator.run import evaluate as module

TASK = EvaluationTask.model_validate(
    {"checkpoint": TaskArtifact(path="x"), "suite": {"command": {"argv": ["true"]}}, "limits": {"wallSeconds": 60}}
)


def test_a_full_scratch_disk_is_said_in_the_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    monkeypatch.setattr(module, "SignalPipe", lambda: None)
    monkeypatch.setattr(module, "set_up_logging", lambda _tail: None)
    message = tmp_path / "termination-log"
    message.touch()
    monkeypatch.setenv("HANTEI_TERMINATION_LOG", str(message))
    file = tmp_path / "task.json"
    file.write_text(TASK.model_dump_json(by_alias=True, exclude_none=True))

    assert module.evaluate_task_file(file, port=None) == 70

    summary = parse_termination_message(message.read_text())
    assert summary is not None
    assert summary.reason is Reason.STORAGE_FULL
    assert "No scratch directory can be made: [Errno 28] No space left on device" in summary.message
    assert module.evaluate(TASK) == 70
