"""Publishing that takes too long, or is interrupted."""

import errno
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.result import ResultSummary, parse_termination_message
from hantei_api.task import EvaluationTask
from hantei_evaluator.run import watchdog
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.finish import Finisher
from hantei_evaluator.run.logtail import LogTail
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.session import Ending, Phase, Session
from support.waiting import eventually

DONE = Ending(Reason.COMPLETED, metrics=[Metric(name="accuracy", value=0.5, n=2)], complete=True)


@pytest.fixture
def message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setenv("HANTEI_TERMINATION_LOG", str(path))
    return path


def session_of(directory: Path, **more: Any) -> Session:
    suite = {"command": {"argv": ["true"]}}
    task = {"checkpoint": {"path": "a"}, "suite": suite, "outputDirectory": str(directory / "output")} | more
    parsed = EvaluationTask.model_validate(task)
    session = Session(parsed, Deadline(parsed.limits), LogTail())
    session.start_evaluating()
    session.claim_end()
    return session


def summary(message: Path) -> ResultSummary:
    parsed = parse_termination_message(message.read_text())
    assert parsed is not None
    return parsed


def test_publishing_that_is_given_up_keeps_the_verdict(tmp_path: Path, message: Path) -> None:
    session = session_of(tmp_path, wandb={"project": "p", "mode": "offline"})

    assert Finisher(session, SampleWriter(session.progress)).give_up(DONE) == 0

    given_up = summary(message)
    assert given_up.reason is Reason.COMPLETED
    assert given_up.published is False
    assert "(publishSeconds 60)" in given_up.publish_message
    assert given_up.wandb is not None
    assert not given_up.wandb.synced
    assert not session.scratch.exists()


def test_a_signal_while_publishing_never_ends_in_success_and_keeps_the_metrics(tmp_path: Path, message: Path) -> None:
    session = session_of(tmp_path)
    session.deadline.signal()

    assert Finisher(session, SampleWriter(session.progress)).finish(DONE) == 75

    stopped = summary(message)
    assert stopped.reason is Reason.POD_LOST
    assert stopped.complete
    assert stopped.metrics[0].value == 0.5
    assert '"PodLost"' in (tmp_path / "output" / "result.json").read_text()


def test_more_versions_than_provenance_holds_are_no_failure(tmp_path: Path, message: Path) -> None:
    session = session_of(tmp_path)
    many = Ending(
        Reason.COMPLETED, metrics=DONE.metrics, complete=True, versions={f"package-{i}": "1" for i in range(40)}
    )

    assert Finisher(session, SampleWriter(session.progress)).finish(many) == 0

    assert len(summary(message).provenance.versions) == 16


class NoSignals(watchdog.SignalPipe):
    """Nobody tells the process to stop."""

    def __init__(self) -> None:
        """Leave this process's handlers alone."""

    @override
    def received(self, timeout_seconds: float) -> bool:
        time.sleep(timeout_seconds)
        return False


def test_publishing_is_cut_short_though_the_watchdog_came_second_to_the_end(
    tmp_path: Path, message: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(tmp_path, limits={"publishSeconds": 1})
    session.phase = Phase.LOADING  # the other thread has the claim, and has not said so yet
    session.deadline.signal()
    monkeypatch.setattr(watchdog, "exit_now", sys.exit)
    monkeypatch.setattr(watchdog, "kill_descendants", lambda: None)
    dog = watchdog.Watchdog(session, Finisher(session, SampleWriter(session.progress)), NoSignals())

    def watch() -> None:
        with suppress(SystemExit):
            dog.run()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    time.sleep(0.3)
    session.phase = Phase.PUBLISHING

    eventually(lambda: not thread.is_alive(), timeout_seconds=5)

    assert summary(message).reason is Reason.EVALUATOR_ERROR


def test_a_process_that_can_not_be_started_for_wandb_changes_no_verdict(
    tmp_path: Path, message: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("hantei_evaluator.export.wandb.subprocess.Popen", refuse)
    session = session_of(tmp_path, wandb={"project": "p", "mode": "offline"})

    assert Finisher(session, SampleWriter(session.progress)).finish(DONE) == 0

    done = summary(message)
    assert done.published
    assert done.wandb is not None
    assert "Resource temporarily unavailable" in done.wandb.message


def test_a_client_that_breaks_while_publishing_costs_no_termination_message(
    tmp_path: Path, message: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("no such plug")

    monkeypatch.setattr("hantei_evaluator.run.finish.upload", fail)
    session = session_of(tmp_path, outputUri=f"file://{tmp_path}/uploaded")

    assert Finisher(session, SampleWriter(session.progress)).finish(DONE) == 0

    done = summary(message)
    assert done.reason is Reason.COMPLETED
    assert done.published is False
    assert "no such plug" in done.publish_message


def test_a_loop_that_goes_on_behind_the_end_does_not_overwrite_the_result(tmp_path: Path, message: Path) -> None:
    session = session_of(tmp_path)
    finisher = Finisher(session, SampleWriter(session.progress))
    finisher.finish(DONE)

    finisher.write_interim()

    assert '"Completed"' in (tmp_path / "output" / "result.json").read_text()
    assert summary(message).reason is Reason.COMPLETED
