"""The operator dies before and after each of its writes; another one goes on: one pod, and one right end.

The cases come from the gateway's own list of writes, so a new write without a scenario fails the ring.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hantei_api.names import RUN_LABEL
from hantei_operator.cluster.gateway import WRITES
from support.evaluations import RESULT, SMALL, python_run
from support.kind import Body, HostOperator, Kind, Watch, condition, host_settings, is_finished, is_terminal
from support.waiting import POD_SECONDS, eventually

pytestmark = pytest.mark.cluster

KILLED = 137
PARALLEL = 5
RUN = "evaluation"
FOR_EVER = "import time; time.sleep(600)"
SEEN_RUNNING = f"import time; time.sleep(5); {RESULT}"
COMPLETED = ("Succeeded", "Completed")
CANCELLED = ("Failed", "Cancelled")


def nothing(kind: Kind, namespace: str) -> None:
    """The run ends by itself."""


def cancel(kind: Kind, namespace: str) -> None:
    """The running evaluation is cancelled: its pod is stopped by a lower deadline."""
    kind.reach(RUN, namespace, "Running")
    kind.patch("EvaluationRun", RUN, namespace, {"spec": {"cancel": True}})


def orphan_and_cancel(kind: Kind, namespace: str) -> None:
    """A pod that no node takes loses its Job, and the run is cancelled: only the pod itself is left to delete."""
    eventually(lambda: kind.pods_of(RUN, namespace), POD_SECONDS, describe=lambda: kind.report(namespace))
    kind.kubectl("delete", "job", "-n", namespace, "-l", f"{RUN_LABEL}={RUN}", "--cascade=orphan")
    kind.patch("EvaluationRun", RUN, namespace, {"spec": {"cancel": True}})


@dataclass(frozen=True)
class Scenario:
    """A life of a run that crosses a write, and how often it does."""

    times: int
    body: Body
    end: tuple[str, str]
    act: Callable[[Kind, str], None] = nothing
    retention_seconds: int = 600
    deleted: bool = False
    """Whether the run itself is gone in the end."""


def _scenario(times: int, code: str, end: tuple[str, str], spec: Body | None = None, **more: Any) -> Scenario:
    return Scenario(times, python_run(RUN, code, **(spec or {})), end, **more)


SCENARIOS = {
    # reserved, running, finished
    "patch_run_status": _scenario(3, SEEN_RUNNING, COMPLETED),
    "create_event": _scenario(3, SEEN_RUNNING, COMPLETED),
    "create_job": _scenario(1, RESULT, COMPLETED),
    "delete_job": _scenario(1, RESULT, COMPLETED, retention_seconds=0),
    "delete_run": _scenario(1, RESULT, COMPLETED, {"ttlSecondsAfterFinished": {"succeeded": 0}}, deleted=True),
    "lower_deadline": _scenario(1, FOR_EVER, CANCELLED, act=cancel),
    "delete_pod": _scenario(1, FOR_EVER, CANCELLED, {"resources": {**SMALL, "gpus": 64}}, act=orphan_and_cancel),
}
CASES = [
    f"{when}:{write}:{count}"
    for write in WRITES
    for count in range(1, SCENARIOS[write].times + 1 if write in SCENARIOS else 1)
    for when in ("before", "after")
]


def crash_and_go_on(kind: Kind, directory: Path, case: str) -> None:
    """One case: an operator that dies at its crash point, and a standby that takes over."""
    scenario = SCENARIOS[case.split(":")[1]]
    namespace = kind.fresh_namespace(f"hantei-crash-{case.replace(':', '-').replace('_', '-')}")
    settings = host_settings(namespace, podRetentionSeconds=scenario.retention_seconds)
    runs, pods = Watch(kind, "EvaluationRun", namespace), Watch(kind, "Pod", namespace)
    try:
        with HostOperator(
            kind, directory, namespace, "first", settings=settings, environment={"HANTEI_FAILPOINT": case}
        ) as first:
            first.wait_until_leading()
            with HostOperator(kind, directory, namespace, "second", settings=settings) as second:
                kind.create(scenario.body, namespace)
                scenario.act(kind, namespace)
                assert first.wait_for_exit(POD_SECONDS) == KILLED, first.text()
                second.wait_until_leading()
                eventually(
                    lambda: ended(kind, namespace, scenario), POD_SECONDS, describe=lambda: kind.report(namespace)
                )
                # The watch may be behind what was just read.
                eventually(lambda: ends_in(runs), describe=lambda: kind.report(namespace))
                assert ends_in(runs) == {scenario.end}, kind.report(namespace)
                made = {event["object"]["metadata"]["name"] for event in pods.events}
                assert len(made) == 1, f"{made}\n{kind.report(namespace)}"
    finally:
        runs.stop()
        pods.stop()
        kind.delete("Namespace", namespace)


def ends_in(runs: Watch) -> set[tuple[str, str]]:
    """Phase and reason of every version of the run that was finished."""
    seen = [event["object"] for event in runs.events]
    return {(run["status"]["phase"], run["status"]["reason"]) for run in seen if is_finished(run)}


def ended(kind: Kind, namespace: str, scenario: Scenario) -> bool:
    """The run has its end, the reservation is given back, and no pod lives."""
    assert all(is_terminal(pod) for pod in kind.pods_of(RUN, namespace)), "a live pod"
    if scenario.retention_seconds == 0:
        assert not kind.list_all("Job", namespace), "a Job that nobody needs any more"
    if scenario.deleted:
        return not kind.exists("EvaluationRun", RUN, namespace)
    body = kind.get("EvaluationRun", RUN, namespace)
    return is_finished(body) and condition(body, "CapacityReserved") == "False"


@pytest.fixture(scope="module")
def sweep(kind: Kind, ring: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """All cases, a few at a time. The ring's chart brings the definition; its operator looks after other namespaces."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        directories = {case: tmp_path_factory.mktemp(case.replace(":", "-")) for case in CASES}
        yield {case: pool.submit(crash_and_go_on, kind, directories[case], case) for case in CASES}
        pool.shutdown(cancel_futures=True)


def test_every_write_has_a_scenario_that_crosses_it() -> None:
    assert set(SCENARIOS) == set(WRITES)


@pytest.mark.parametrize("case", CASES)
def test_operator_killed_at_a_write_leaves_one_pod_and_one_right_end(sweep: dict[str, Future[None]], case: str) -> None:
    sweep[case].result()
