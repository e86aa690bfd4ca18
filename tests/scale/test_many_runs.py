"""200 runs at once on 20 places: what the operator promises holds in every version of every object."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import client

from hantei_api.names import API_VERSION, ATTEMPT_LABEL, RUN_KIND, RUN_PLURAL, RUN_UID_LABEL
from support.controlplane import ControlPlane
from support.history import History
from support.scale import MAX_CONCURRENT, READY_FIRST, Operator
from support.waiting import eventually

Body = dict[str, Any]
RUNS = 200
WRITES_PER_RUN = 6
EVENTS_PER_RUN = 3
ALL_RUNS_SECONDS = 240.0


@dataclass(frozen=True)
class Outcome:
    """What was seen of 200 runs."""

    killed: bool
    runs: list[tuple[str, Body]]
    jobs: list[tuple[str, Body]]
    pods: list[tuple[str, Body]]
    events: list[tuple[str, Body]]
    writes: Counter[str]
    """Writes that the API server took, as the operator that ended counts them."""
    rss_bytes: float


@pytest.fixture(scope="module", params=[False, True], ids=["undisturbed", "operator-killed"])
def outcome(
    request: pytest.FixtureRequest,
    plane: ControlPlane,
    histories: dict[str, History],
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcome:
    killed: bool = request.param
    names = tuple(f"{how}-{'killed' if killed else 'calm'}-{n}" for how in ("at-once", READY_FIRST) for n in (1, 2))
    directory = tmp_path_factory.mktemp("operator")
    _make(plane, names)
    eventually(lambda: len(histories["evaluationruns"].versions(names)) == RUNS, describe=plane.logs)
    operator = Operator(plane, directory, "killed.1" if killed else "calm.1", names)
    try:
        operator.wait_until_leading()
        if killed:
            eventually(lambda: _finished_now(plane, names) >= RUNS // 4, ALL_RUNS_SECONDS, describe=operator.text)
            operator.kill()
            assert _finished_now(plane, names) < RUNS, "the operator was killed too late to matter"
            operator = Operator(plane, directory, "killed.2", names)
        _wait_until_all_finished(plane, names, operator.text)
        eventually(lambda: _seen_finished(histories, names) == RUNS, describe=operator.text)
        samples = operator.samples()
    finally:
        operator.stop()
    writes: Counter[str] = Counter()
    for name, labels, value in samples:
        if name == "hantei_api_writes_total" and labels["outcome"] == "ok":
            writes[labels["write"]] += int(value)
    (rss_bytes,) = (value for name, _, value in samples if name == "process_resident_memory_bytes")
    seen = [histories[each].versions(names) for each in ("evaluationruns", "jobs", "pods", "events")]
    outcome = Outcome(killed, *seen, writes=writes, rss_bytes=rss_bytes)
    _say(request, outcome)
    return outcome


def test_every_run_completes_in_one_attempt(outcome: Outcome) -> None:
    last = {body["metadata"]["uid"]: body.get("status", {}) for _, body in outcome.runs}
    ends = Counter((status["phase"], status["reason"], len(status["attempts"])) for status in last.values())
    assert ends == {("Succeeded", "Completed", 1): RUNS}


def test_reservations_never_exceed_max_concurrent(outcome: Outcome) -> None:
    most = _most_at_once(outcome.runs, _reserved)
    assert 1 < most <= MAX_CONCURRENT


def test_live_pods_never_exceed_max_concurrent(outcome: Outcome) -> None:
    most = _most_at_once(outcome.pods, _live)
    assert 1 <= most <= MAX_CONCURRENT


def test_each_attempt_has_exactly_one_job_and_one_pod(outcome: Outcome) -> None:
    for versions in (outcome.jobs, outcome.pods):
        made = Counter(_attempt(body) for kind, body in versions if kind == "ADDED")
        assert len(made) == RUNS
        assert set(made.values()) == {1}


def test_a_run_costs_few_writes_and_events(outcome: Outcome) -> None:
    changes = Counter(_uid(body) for kind, body in outcome.runs if kind != "ADDED")
    changes += Counter(_attempt(body)[0] for kind, body in outcome.jobs if kind == "ADDED")
    assert max(changes.values()) <= WRITES_PER_RUN
    events = Counter(
        body["involvedObject"]["uid"]
        for kind, body in outcome.events
        if kind == "ADDED" and body["involvedObject"]["kind"] == RUN_KIND
    )
    assert len(events) == RUNS
    assert max(events.values()) <= EVENTS_PER_RUN


def test_the_operator_counts_as_few_writes_as_were_seen(outcome: Outcome) -> None:
    writes = Counter(outcome.writes)
    assert writes.pop("create_event") <= EVENTS_PER_RUN * RUNS
    assert writes.total() <= WRITES_PER_RUN * RUNS


def _make(plane: ControlPlane, namespaces: tuple[str, ...]) -> None:
    """All runs, before there is an operator that could begin with the first."""
    api = plane.api_client()
    core, custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
    group, version = API_VERSION.split("/")
    for namespace in namespaces:
        core.create_namespace({"metadata": {"name": namespace}})
    for namespace in namespaces:
        eventually(
            lambda namespace=namespace: core.list_namespaced_service_account(namespace).items, describe=plane.logs
        )
    spec = {
        "checkpoint": {"uri": "file:///stand-in"},
        "suite": {"command": {"argv": ["true"]}},
        "resources": {"gpus": 1, "cpu": 1, "memory": "1Gi", "ephemeralStorage": "1Gi"},
        "clocks": {"queueSeconds": 3600},
    }
    for number in range(RUNS):
        body = {"apiVersion": API_VERSION, "kind": RUN_KIND, "metadata": {"name": f"run-{number}"}, "spec": spec}
        namespace = namespaces[number % len(namespaces)]
        custom.create_namespaced_custom_object(group, version, namespace, RUN_PLURAL, body)


def _wait_until_all_finished(plane: ControlPlane, namespaces: tuple[str, ...], describe: Callable[[], str]) -> None:
    eventually(lambda: _finished_now(plane, namespaces) == RUNS, ALL_RUNS_SECONDS, describe=describe)


def _finished_now(plane: ControlPlane, namespaces: tuple[str, ...]) -> int:
    """How many runs have ended; kubectl prints one word a run, which keeps the question cheap."""
    words = [
        plane.kubectl("get", RUN_PLURAL, "--namespace", each, "--output=jsonpath={.items[*].status.finishedAt}").stdout
        for each in namespaces
    ]
    return sum(len(each.split()) for each in words)


def _seen_finished(histories: dict[str, History], namespaces: tuple[str, ...]) -> int:
    last = {_uid(body): body for _, body in histories["evaluationruns"].versions(namespaces)}
    return sum("finishedAt" in body.get("status", {}) for body in last.values())


def _most_at_once(versions: list[tuple[str, Body]], holds: Callable[[Body], bool]) -> int:
    """The most objects for which it held after any one change."""
    holding: set[str] = set()
    most = 0
    for kind, body in versions:
        if kind != "DELETED" and holds(body):
            holding.add(_uid(body))
        else:
            holding.discard(_uid(body))
        most = max(most, len(holding))
    return most


def _reserved(run: Body) -> bool:
    status = run.get("status", {})
    attempts = status.get("attempts") or [{"reason": "none yet"}]
    return "reason" not in attempts[-1] and "finishedAt" not in status


def _live(pod: Body) -> bool:
    return pod["status"]["phase"] not in {"Succeeded", "Failed"}


def _attempt(body: Body) -> tuple[str, str]:
    labels = body["metadata"]["labels"]
    return labels[RUN_UID_LABEL], labels[ATTEMPT_LABEL]


def _uid(body: Body) -> str:
    uid: str = body["metadata"]["uid"]
    return uid


def _say(request: pytest.FixtureRequest, outcome: Outcome) -> None:
    """Into the ring's output, whether tests pass or not."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")
    assert reporter is not None
    assert capture is not None
    changes = sum(kind != "ADDED" for kind, _ in outcome.runs)
    with capture.global_and_fixture_disabled():
        reporter.write_line(
            f"\n{RUNS} runs, operator killed: {outcome.killed}; most reservations {_most_at_once(outcome.runs, _reserved)}, "
            f"most live pods {_most_at_once(outcome.pods, _live)}; status versions per run {changes / RUNS:.2f}; "
            f"writes {dict(outcome.writes)}; operator's RSS at the end {outcome.rss_bytes / 2**20:.0f} MiB"
        )
