"""The failure table on a real cluster: each ends in the right reason, in time, with the way out, and leaves nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from hantei_api.reasons import FACTS, Reason
from support.evaluations import RESULT, SMALL, evaluation_run, make_claim, on_claim, python_run
from support.kind import FAILURES, QUOTA, Body, HostOperator, Kind, host_settings, is_terminal, seconds_between
from support.waiting import POD_SECONDS, TIME_SCALE, eventually

pytestmark = pytest.mark.cluster

CLAIM = "checkpoints"
ACCOUNT = "hantei-ring-account"
SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]], start_new_session=True); time.sleep(600)"
)
SLOW_RESULT = f"import time; time.sleep(15); {RESULT}"
SPOIL = """
import pathlib, torch
model = torch.nn.Linear(64, 10)
torch.save(model.state_dict(), "whole.pt")
data = pathlib.Path("whole.pt").read_bytes()
pathlib.Path("truncated.pt").write_bytes(data[: len(data) // 2])
pathlib.Path("text.pt").write_text("epoch 3: loss 0.1\\n" * 50)
pathlib.Path("model.py").write_text("import torch\\ndef build(): return torch.nn.Linear(64, 10)\\n")
import numpy; numpy.savez("data.npz", x=numpy.zeros((8, 64), "float32"), y=numpy.zeros(8, "int64"))
"""
CODE = [{"name": "code", "pvc": {"claimName": CLAIM, "path": "."}}]
CLASSIFICATION = {"classification": {"model": "code/model.py:build", "data": "code/data.npz"}}
TORCH = {**SMALL, "cpu": "400m", "memory": "1Gi"}


@dataclass(frozen=True)
class Row:
    """One way to fail."""

    body: Body
    reason: Reason
    words: str
    """A part of the message: what happened, in the words of whoever knows."""
    clock_seconds: float
    """What the run's own clocks allow it; 60 s more are granted."""
    namespace: str = FAILURES
    interfere: Callable[[Kind, "Row"], None] | None = None
    sooner: Reason | None = None
    """What it ends with where the evaluator is quicker than the kernel, which no test can decide."""
    attempts: list[Reason] = field(default_factory=list)
    """Reasons of the attempts before the last."""

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])


def delete_pod(kind: Kind, row: Row) -> None:
    kind.reach(row.name, row.namespace, "Running")
    (pod,) = kind.pods_of(row.name, row.namespace)
    assert processes(kind, row), "the program runs where its absence is looked for later"
    assert kind.on_worker("ls", scratch(pod)), "scratch space is where its absence is looked for later"
    kind.kubectl("delete", "pod", "-n", row.namespace, "-l", f"hantei.dev/run={row.name}", "--wait=false")


def evict_pod(kind: Kind, row: Row) -> None:
    body = kind.reach(row.name, row.namespace, "Running")
    kind.evict(body["status"]["podName"], row.namespace)


def queued_by_quota(kind: Kind, row: Row) -> None:
    """Until its queue clock strikes, the run says what stands in its way and waits for that to change."""

    def waiting(body: Body) -> bool:
        status = body.get("status", {})
        return status.get("phase") == "Queued" and "exceeded quota" in status.get("message", "")

    eventually(lambda: kind.look(row.name, row.namespace, waiting), describe=lambda: kind.report(row.namespace))


Interference = dict[str, Future[None]]
"""What is done to rows meanwhile, by name."""

SHORT = {"queueSeconds": 8}
BRIEF = {"startSeconds": 60, "runSeconds": 4, "wallSeconds": 90}
ONCE = {"infrastructure": 0}

ROWS = [
    Row(
        python_run("foreign-image", RESULT, image="elsewhere.example/evaluator:1"),
        Reason.INVALID_TASK,
        "starts with none of the allowed prefixes",
        0,
    ),
    Row(
        python_run("wrong-image", RESULT, image="hantei.invalid/absent:1", clocks={"startSeconds": 15}),
        Reason.IMAGE_PULL_ERROR,
        "hantei.invalid/absent:1",
        15,
    ),
    Row(
        python_run("impossible-gpus", RESULT, resources={**SMALL, "gpus": 64}, clocks=SHORT),
        Reason.UNSCHEDULABLE,
        "Insufficient nvidia.com/gpu",
        8,
    ),
    Row(
        python_run("missing-claim", RESULT, checkpoint=on_claim("absent", "model.pt"), clocks=SHORT),
        Reason.VOLUME_UNAVAILABLE,
        'persistentvolumeclaim "absent" not found',
        8,
    ),
    Row(
        python_run("memory-of-a-command", "data = b'x' * 400_000_000", resources={**SMALL, "memory": "100M"}),
        Reason.OOM_KILLED,
        "memory limit",
        90,
        sooner=Reason.MEMORY_LIMIT_REACHED,
    ),
    Row(
        evaluation_run(
            "memory-of-the-evaluator",
            CLASSIFICATION,
            checkpoint=on_claim(CLAIM, "whole.pt"),
            inputs=CODE,
            resources={**TORCH, "memory": "100M"},
        ),
        Reason.OOM_KILLED,
        "memory limit",
        90,
        sooner=Reason.MEMORY_LIMIT_REACHED,
    ),
    Row(
        evaluation_run(
            "text-file", CLASSIFICATION, checkpoint=on_claim(CLAIM, "text.pt"), inputs=CODE, resources=TORCH
        ),
        Reason.CHECKPOINT_INVALID,
        "text.pt",
        90,
    ),
    Row(
        evaluation_run(
            "truncated", CLASSIFICATION, checkpoint=on_claim(CLAIM, "truncated.pt"), inputs=CODE, resources=TORCH
        ),
        Reason.CHECKPOINT_INCOMPLETE,
        "truncated.pt",
        90,
    ),
    Row(
        evaluation_run(
            "missing-path", CLASSIFICATION, checkpoint=on_claim(CLAIM, "nowhere.pt"), inputs=CODE, resources=TORCH
        ),
        Reason.CHECKPOINT_MISSING,
        "nowhere.pt",
        90,
    ),
    Row(python_run("endless", SLEEP, clocks=BRIEF), Reason.DEADLINE_EXCEEDED, "runSeconds", 64),
    Row(python_run("stubborn", STUBBORN, clocks=BRIEF), Reason.DEADLINE_EXCEEDED, "runSeconds", 64),
    Row(python_run("no-result", "pass"), Reason.METRICS_UNAVAILABLE, "HANTEI_RESULT", 90),
    Row(
        python_run("deleted-pod", SLEEP, retries=ONCE),
        Reason.POD_LOST,
        "the pod was deleted, and not by this operator",
        90,
        interfere=delete_pod,
    ),
    Row(
        python_run("deleted-pod-retried", SLOW_RESULT, retries={"infrastructure": 1}),
        Reason.COMPLETED,
        "accuracy 0.5",
        120,
        interfere=delete_pod,
        attempts=[Reason.POD_LOST],
    ),
    Row(python_run("evicted", SLEEP, retries=ONCE), Reason.EVICTED, "EvictionByEvictionAPI", 90, interfere=evict_pod),
    Row(
        python_run("evicted-retried", SLOW_RESULT, retries={"infrastructure": 1}),
        Reason.COMPLETED,
        "accuracy 0.5",
        120,
        interfere=evict_pod,
        attempts=[Reason.EVICTED],
    ),
    Row(
        python_run("quota", RESULT, clocks={"queueSeconds": 15}),
        Reason.POD_REJECTED,
        "exceeded quota",
        15,
        namespace=QUOTA,
        interfere=queued_by_quota,
    ),
    Row(
        python_run("missing-account", RESULT, clocks=SHORT),
        Reason.POD_REJECTED,
        'serviceaccount "absent" not found',
        8,
        namespace=ACCOUNT,
    ),
]


@pytest.fixture(scope="module")
def started(ring: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interference]:
    """All rows of the table at once: the table takes as long as its slowest row."""
    ring.fresh_namespace(ACCOUNT)
    quota = {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    ring.create(quota, QUOTA)
    make_claim(ring, FAILURES, CLAIM, SPOIL, {})
    settings = host_settings(ACCOUNT, podDefaults={"serviceAccountName": "absent"})
    with (
        HostOperator(ring, tmp_path_factory.mktemp("account"), ACCOUNT, settings=settings),
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(lambda row: ring.create(row.body, row.namespace), ROWS))
        yield {row.name: pool.submit(row.interfere, ring, row) for row in ROWS if row.interfere}
    ring.delete("Namespace", ACCOUNT)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_failure_ends_in_its_reason_in_time_says_the_way_out_and_leaves_nothing(
    ring: Kind, started: Interference, row: Row
) -> None:
    body = ring.finished(row.name, row.namespace, row.clock_seconds + 60 + POD_SECONDS)
    if row.name in started:
        started[row.name].result(POD_SECONDS)
    check_end(ring, row, body)
    check_nothing_left(ring, row)


def check_end(ring: Kind, row: Row, body: Body) -> None:
    """Reason, words, way out, time."""
    status = body["status"]
    reason = row.sooner if row.sooner is not None and status["reason"] == row.sooner else row.reason
    report = ring.report(row.namespace) if status["reason"] != reason else ""
    assert status["reason"] == reason, f"{status['message']}\n{report}"
    assert row.words in status["message"], status
    assert [Reason(attempt["reason"]) for attempt in status.get("attempts", [])][:-1] == row.attempts, status
    if reason is not Reason.COMPLETED:
        assert FACTS[reason].advice in status["message"]
        assert status["phase"] == "Failed"
        assert status.get("failure", {}).get("reason", reason) == reason
    took = seconds_between(body["metadata"]["creationTimestamp"], status["finishedAt"])
    assert took <= (row.clock_seconds + 60) * TIME_SCALE, f"took {took:.0f} s"


def check_nothing_left(ring: Kind, row: Row) -> None:
    """No live pod, no process, no scratch space on the node."""

    def nothing() -> bool:
        pods = ring.pods_of(row.name, row.namespace)
        assert all(is_terminal(pod) for pod in pods), "a live pod"
        assert not processes(ring, row), "a process"
        for pod in pods:
            assert not ring.on_worker("find", scratch(pod), "-type", "f"), "a temporary file"
        return True

    eventually(nothing, 30, describe=lambda: ring.report(row.namespace))


def processes(kind: Kind, row: Row) -> str:
    """The processes of a run's program on the node."""
    return kind.on_worker("pgrep", "-f", f"marker-{row.name}$")


def scratch(pod: Body) -> str:
    """A pod's scratch space on the node."""
    return f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/scratch"
