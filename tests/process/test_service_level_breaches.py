"""A breach is in the result, the summary, /metrics, the log and W&B, and costs the result only where the spec says so."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hantei_api.metrics import Metric
from hantei_api.provenance import SlaMetric
from hantei_api.reasons import Reason
from hantei_api.task import EvaluationTask
from hantei_evaluator.export.prometheus import registry_of
from hantei_evaluator.export.wandb import request
from hantei_evaluator.performance import ResourceMonitor
from hantei_evaluator.run.deadline import Deadline
from hantei_evaluator.run.logtail import LogTail
from hantei_evaluator.run.session import Ending, Session
from support.evaluation import WRITE_RESULT, Ended, Evaluation, python_command
from support.nvml import StandInNvml
from support.ports import free_port, get
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

WAIT = "import time\nwhile not os.path.exists(os.environ['HANTEI_OUTPUT'] + '/go'): time.sleep(0.02)\n"
BREACHES = [
    (SlaMetric.LATENCY_SECONDS, WRITE_RESULT + f"import time; time.sleep(5.1)\n{WAIT}"),
    (SlaMetric.MEMORY_OVERHEAD_BYTES, WRITE_RESULT + f"block = b'x' * 600_000_000\n{WAIT}"),
]


def violations(text: str) -> dict[str, float]:
    return {
        sample.labels["metric"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "hantei_evaluation_sla_violations_total"
    }


def breach(directory: Path, metric: SlaMetric, code: str, **task: Any) -> Ended:
    """Run the code until the breach is on /metrics, and then to its end."""
    port = free_port()
    evaluation = Evaluation(directory, python_command(code, **task), port=port)
    eventually(lambda: violations(get(port, "/metrics")[1])[metric.value] == 1)
    (directory / "output" / "go").touch()
    return evaluation.wait(60)


def logged_by_wandb(ended: Ended) -> bytes:
    assert ended.summary.wandb is not None
    directory = Path(ended.summary.wandb.message.rpartition("wandb sync --yes ")[2])
    return next(directory.glob("run-*.wandb")).read_bytes()


@pytest.mark.parametrize(("metric", "code"), BREACHES, ids=[metric.value for metric, _ in BREACHES])
def test_a_default_threshold_that_is_exceeded_is_told_everywhere_and_fails_nothing(
    tmp_path: Path, metric: SlaMetric, code: str
) -> None:
    relaxed = {} if metric is SlaMetric.LATENCY_SECONDS else {"latencySeconds": 3600}

    ended = breach(tmp_path, metric, code, sla=relaxed, wandb={"project": "p", "mode": "offline"})

    assert (ended.exit_code, ended.summary.reason) == (0, Reason.COMPLETED), ended.stderr
    for sla in (ended.summary.sla, ended.result.sla if ended.result else None):
        assert sla is not None
        assert not sla.passed
        assert sla.violations == [metric]
    assert f"WARNING hantei_evaluator.run.session: SLA: {metric.value}: " in ended.stderr
    logged = logged_by_wandb(ended)
    for key in ("passed", "violation_count", f"violations/{metric.value}"):
        assert f"evaluation/sla/{key}".encode() in logged


def test_an_enforced_threshold_fails_the_run_and_keeps_its_metrics(tmp_path: Path) -> None:
    code = WRITE_RESULT + f"import time; time.sleep(0.3)\n{WAIT}"

    ended = breach(tmp_path, SlaMetric.LATENCY_SECONDS, code, sla={"latencySeconds": 0.2, "enforce": True})

    assert (ended.exit_code, ended.summary.reason) == (70, Reason.SLA_VIOLATED)
    assert [metric.name for metric in ended.summary.metrics] == ["accuracy"]
    assert ended.summary.complete
    assert "latency_seconds: " in ended.summary.message
    assert "is above the threshold of 0.2 s" in ended.summary.message
    assert ended.result is not None
    assert ended.result.reason is Reason.SLA_VIOLATED


def test_an_enforced_threshold_that_holds_fails_nothing(tmp_path: Path) -> None:
    task = python_command(WRITE_RESULT, sla={"latencySeconds": 3600, "memoryOverheadBytes": 10**12, "enforce": True})

    ended = Evaluation(tmp_path, task).wait(60)

    assert (ended.exit_code, ended.summary.reason) == (0, Reason.COMPLETED), ended.stderr
    assert ended.summary.sla is not None
    assert ended.summary.sla.passed


@pytest.mark.parametrize("enforce", [False, True])
def test_nvml_stand_in_utilization_above_80_percent_is_told_everywhere(*, enforce: bool) -> None:
    task = EvaluationTask.model_validate(
        {
            "checkpoint": {"path": "a"},
            "suite": {"command": {"argv": ["true"]}},
            "sla": {"enforce": enforce, "memoryOverheadBytes": 10**12},
            "wandb": {"project": "p", "mode": "offline"},
        }
    )
    session = Session(task, Deadline(task.limits), LogTail())
    session.resources = ResourceMonitor("GPU-0", nvml=StandInNvml(utilization=[90]))
    session.start_evaluating()
    session.claim_end()

    ending = session.enforce_sla(Ending(Reason.COMPLETED, "", [Metric(name="accuracy", value=0.5, n=2)], complete=True))
    result = session.result(ending)
    session.remove_scratch()

    assert result.reason is (Reason.SLA_VIOLATED if enforce else Reason.COMPLETED)
    assert len(result.metrics) == 1
    assert result.sla is not None
    assert result.sla.violations == [SlaMetric.GPU_UTILIZATION_PERCENT]
    assert violations(generate_latest(registry_of(session)).decode())["gpu_utilization_percent"] == 1
    values = request(task, result, Path(), 1.0)["values"]
    assert values["evaluation/sla/passed"] is False
    assert values["evaluation/sla/violation_count"] == 1
    assert values["evaluation/sla/violations/gpu_utilization_percent"] == 1
    assert values["evaluation/sla/gpu_utilization_percent"] == 90
