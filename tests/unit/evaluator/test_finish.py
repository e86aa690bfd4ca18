"""Publishing that takes too long, or is interrupted."""

from pathlib import Path
from typing import Any

import pytest

from hantei_api.metrics import Metric
from hantei_api.reasons import Reason
from hantei_api.result import ResultSummary, parse_termination_message
from hantei_api.task import EvaluationTask
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.finish import Finisher
from hantei_evaluator.run.logtail import LogTail
from hantei_evaluator.run.samples import SampleWriter
from hantei_evaluator.run.session import Ending, Session

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
